"""Environment variables as settings: over the file, beneath it, or not at all, and which of them is which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, inspect

from proxy.config.environment import substitute
from proxy.config.mistakes import Mistakes
from proxy.config.reader import BROKEN, ConfigReader, type_at
from proxy.config.variables import VARIABLES, Values, Variable

LABEL: Final = "environment"
_ABSENT: Final[Any] = object()

# What the file may say although a variable implies something else.
_AGREES: Final = {"auth.mode": ("any",)}


class Report(Struct):
    """Names of variables by what became of them; those that are unset are in none."""

    in_force: list[str] = []
    overridden: list[str] = []
    not_understood: list[str] = []
    placeholders: list[str] = []
    without_effect: list[str] = []

    def line(self) -> str:
        """All of them on one line, ``""`` if there are none."""
        parts = (
            ("in force", self.in_force),
            ("overridden", self.overridden),
            ("not understood", self.not_understood),
            ("still placeholders", self.placeholders),
            ("without effect", self.without_effect),
        )
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)


class Settings(Struct):
    """``raw`` is the file with all that stands beneath it; ``over`` holds what wins over it, by dotted path.

    ``origins`` are the variables from which values of ``raw`` came, by dotted path.
    """

    raw: dict[Any, Any]
    over: dict[str, Any]
    origins: dict[str, str]
    report: Report


def apply(
    raw: dict[Any, Any], environment: Mapping[str, str], config: inspect.Type, reader: ConfigReader, mistakes: Mistakes
) -> Settings:
    """What ``environment`` makes of the file ``raw``, whose type is ``config``.

    ``reader`` converts texts and tells mistakes of the variables that win; it belongs to ``mistakes``.
    """
    settings = Settings(raw, {}, {}, Report())
    for variable in VARIABLES:
        text = environment.get(variable.name)
        if not text:
            continue
        if variable.unused:
            settings.report.without_effect.append(variable.name)
        elif variable.values is not None:
            _apply(variable, text, environment, config, reader, mistakes, settings)
    return settings


def _apply(
    variable: Variable,
    text: str,
    environment: Mapping[str, str],
    config: inspect.Type,
    reader: ConfigReader,
    mistakes: Mistakes,
    settings: Settings,
) -> None:
    report = settings.report
    told = len(mistakes)
    values = _values(variable, text, environment, config, reader)
    if values is None:
        if not variable.wins:
            del mistakes[told:]  # somebody else's variable may have this name: it is named, and no mistake
            report.not_understood.append(variable.name)
        return
    if variable.wins:
        settings.over |= values
    elif not _matters(variable, settings.raw, environment):
        report.without_effect.append(variable.name)
        return
    elif _is_overridden(variable, values, settings):
        report.overridden.append(variable.name)
        return
    else:
        for path, value in values.items():
            if _at(settings.raw, path) is _ABSENT:
                settings.raw = _put(settings.raw, path.split("."), _literal(value))
                settings.origins[path] = variable.name
    report.in_force.append(variable.name)


def _values(
    variable: Variable, text: str, environment: Mapping[str, str], config: inspect.Type, reader: ConfigReader
) -> dict[str, Any] | None:
    """Converted values by path; ``None`` after a mistake, which has been told."""
    assert variable.values is not None
    try:
        found: Values = variable.values(text, environment)
    except (ValueError, OverflowError) as error:
        reader.refuse(variable.name, str(error))
        return None
    values = {path: reader.override(type_at(config, path), each, variable.name) for path, each in found.items()}
    return None if any(value is BROKEN for value in values.values()) else values


def _is_overridden(variable: Variable, values: Mapping[str, Any], settings: Settings) -> bool:
    if any(_at(settings.raw, path) is not _ABSENT for path in variable.blocked_by):
        return True
    for path, value in values.items():
        said = _at(settings.raw, path)
        allowed = [_literal(value), *_AGREES.get(path, ())]
        if not (said is _ABSENT or said in allowed) or settings.over.get(path, value) != value:
            return True
    # Where the file says the same of everything, the file is what counts, and nobody can tell.
    return False


def _matters(variable: Variable, raw: Mapping[Any, Any], environment: Mapping[str, str]) -> bool:
    path, wanted = variable.needs
    if not path:
        return True
    said = _at(raw, path)
    if isinstance(said, str):
        try:
            said = substitute(said, environment).text
        except ValueError:
            return False
    return said in wanted if wanted else said not in (_ABSENT, "")


def _at(raw: Any, path: str) -> Any:
    """What the file says at ``path``; ``_ABSENT`` if nothing. A mistake on the way counts as something."""
    for key in path.split("."):
        if raw is None:
            return _ABSENT
        if not isinstance(raw, dict):
            return raw
        raw = raw.get(key)
    return _ABSENT if raw is None else raw


def _put(raw: Any, path: list[str], value: Any) -> dict[Any, Any]:
    """A copy of ``raw`` with ``value`` at ``path``; what is on the way is a mapping or nothing."""
    key, *rest = path
    below = raw or {}
    return {**below, key: _put(below.get(key), rest, value) if rest else value}


def _literal(value: Any) -> Any:
    """``value`` as it is written in the file: what comes out of the environment is not looked into again."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    return [_literal(item) for item in value] if isinstance(value, list) else value
