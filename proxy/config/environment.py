"""The environment: the process's variables, an optional ``.env`` file, and ``${VAR}`` in values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from proxy.config.mistakes import Mistakes
from proxy.config.texts import is_placeholder

ENV_FILE: Final = Path(".env")  # read if it exists
CONFIG_PATH = "ROUTER_CONFIG_PATH"

_REFERENCE = re.compile(
    r"""
    (?P<literal> \$\$\{ )                                                        # $${ is a plain ${
    | \$\{ (?P<name> [A-Za-z_][A-Za-z0-9_]* ) ( :- (?P<default> [^}]* ) )? \}    # ${NAME}, ${NAME:-default}
    | (?P<broken> \$\{ )
    """,
    re.VERBOSE,
)


class Substituted(Struct, frozen=True):
    """A value after substitution.

    ``whole``: the value was exactly one reference. ``names``: referenced variables. ``unset``: those of them that are
    missing and have no default.
    """

    text: str
    whole: bool = False
    names: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


def substitute(text: str, environment: Mapping[str, str]) -> Substituted:
    """Replace references to variables, once: values of variables are not expanded again.

    As in a shell, ``:-default`` also applies to an empty variable. Raises ``ValueError`` for an incomplete ``${``.
    """
    names: list[str] = []
    unset: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["literal"]:
            return "${"
        if match["broken"]:
            raise ValueError('"${" must open ${NAME} or ${NAME:-default}; a literal "${" is written "$${"')
        name, default = match["name"], match["default"]
        names.append(name)
        if default is not None:
            return environment.get(name) or str(default)
        if name not in environment:
            unset.append(name)
        return environment.get(name, "")

    whole = _REFERENCE.fullmatch(text)
    replaced = _REFERENCE.sub(replace, text)
    return Substituted(replaced, bool(whole and whole["name"]), tuple(names), tuple(unset))


class Environment(Struct, frozen=True):
    """Variables of the process and of the ``.env`` file.

    Variables with a placeholder value (see ``texts``) are treated as unset: their names are in ``placeholders``.
    ``file``: names in the ``.env`` file.
    """

    variables: dict[str, str]
    file: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()


def gather(environ: Mapping[str, str], env_file: Path | None, mistakes: Mistakes) -> Environment:
    """Merge both sources. The process's variables override the file's."""
    file = _read(env_file, mistakes) if env_file is not None else {}
    found: dict[str, str] = {}
    dropped: list[str] = []
    for source in (file, environ):
        for name, value in source.items():
            if is_placeholder(value):
                dropped.append(name)
            else:
                found[name] = value
    return Environment(found, tuple(file), tuple(name for name in dict.fromkeys(dropped) if name not in found))


def _read(path: Path, mistakes: Mistakes) -> dict[str, str]:
    # dotenv_values() would take variables from os.environ behind our back and only log what it cannot read.
    from dotenv.parser import parse_stream

    found: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for binding in parse_stream(stream):
                if binding.error:
                    mistakes.add(str(path), f"line {binding.original.line}", "expected NAME=value")
                elif binding.key is not None and binding.value is not None:
                    found[binding.key] = binding.value
    except OSError as error:
        mistakes.add(str(path), "", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        mistakes.add(str(path), "", "is not UTF-8 text")
    return found
