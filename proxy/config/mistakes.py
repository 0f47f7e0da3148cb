"""Messages about mistakes in the configuration: one line with the file and the key path.

Messages never repeat a value that may be a secret: values of variables, or text in the place of a section.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_PLAIN = re.compile(r"[\w.-]{1,60}", re.ASCII)


class Mistakes(list[str]):
    """The mistakes of one load, in the order of discovery."""

    def add(self, label: str, path: str, text: str) -> None:
        self.append(": ".join(part for part in (label, path, text) if part))


def join(path: str, key: object) -> str:
    """The path of ``key`` within the section at ``path``."""
    text = str(key)
    shown = text if _PLAIN.fullmatch(text) else quoted(text)
    return f"{path}.{shown}" if path else shown


def quoted(text: str) -> str:
    """``text`` in double quotes on one line, shortened if it is long."""
    cut = json.dumps(text if len(text) <= 60 else text[:57] + "...", ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def shown(value: Any) -> str:
    """A value as its author would recognize it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge number"
    if isinstance(value, int | float):
        return repr(value)
    return sort(value)


def sort(value: Any) -> str:
    """The kind of a value, without the value."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return "a date" if hasattr(value, "isoformat") else "something else"


def near(word: str, known: Iterable[str]) -> str:
    """``; did you mean "..."?``, or ``""`` if nothing is similar. snake_case finds its camelCase."""
    import difflib  # only a mistake needs it

    plain = {name.lower().replace("_", "").replace("-", ""): name for name in known}
    found = difflib.get_close_matches(word.lower().replace("_", "").replace("-", ""), plain, 1, 0.6)
    return f"; did you mean {quoted(plain[found[0]])}?" if found else ""
