"""How a mistake in the configuration is told: one plain line, with the file and the key path.

No line ever repeats a value that may be a secret: what came out of the environment, what stands where text
is expected, what stands where a section is expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_PLAIN = re.compile(r"[\w.-]{1,60}", re.ASCII)


class Mistakes(list[str]):
    """The mistakes of one load, in the order in which they were found."""

    def add(self, label: str, path: str, text: str) -> None:
        self.append(": ".join(part for part in (label, path, text) if part))


def join(path: str, key: object) -> str:
    """The path of ``key`` within the section at ``path``."""
    text = str(key)
    shown = text if _PLAIN.fullmatch(text) else quoted(text)
    return f"{path}.{shown}" if path else shown


def quoted(text: str) -> str:
    """``text`` in double quotes on one line, cut to what is needed to recognise it."""
    cut = json.dumps(text if len(text) <= 60 else text[:57] + "...", ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def shown(value: Any) -> str:
    """A value as the one who wrote it would recognise it."""
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
    """What sort of thing a value is, without the value."""
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
    """``; did you mean "..."?``, or ``""`` when nothing known is close. snake_case finds its camelCase."""
    import difflib  # only a mistake needs it

    plain = {name.lower().replace("_", "").replace("-", ""): name for name in known}
    found = difflib.get_close_matches(word.lower().replace("_", "").replace("-", ""), plain, 1, 0.6)
    return f"; did you mean {quoted(plain[found[0]])}?" if found else ""
