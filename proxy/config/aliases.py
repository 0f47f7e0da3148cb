"""Applying environment variables to the configuration, and reporting what became of each."""

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

# Values in the file that are compatible with another value that a variable implies.
_AGREES: Final = {"auth.mode": ("any",)}


class Report(Struct):
    """Names of the variables that are set, by what became of them."""

    in_force: list[str] = []
    overridden: list[str] = []
    not_understood: list[str] = []
    placeholders: list[str] = []
    without_effect: list[str] = []

    def line(self) -> str:
        """All of them on one line; ``""`` if there are none."""
        parts = (
            ("in force", self.in_force),
            ("overridden", self.overridden),
            ("not understood", self.not_understood),
            ("still placeholders", self.placeholders),
            ("without effect", self.without_effect),
        )
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)


class Settings(Struct):
    """The file with variables applied. Keys of ``over`` and ``origins`` are dotted paths.

    ``raw``: the file, with variables that the file overrides. ``over``: values of variables that override the file.
    ``origins``: the variables that values of ``raw`` came from. ``notices``: what to set instead of unused variables.
    """

    raw: dict[Any, Any]
    over: dict[str, Any]
    origins: dict[str, str]
    report: Report
    notices: list[str] = []


def apply(
    raw: dict[Any, Any], environment: Mapping[str, str], config: inspect.Type, reader: ConfigReader, mistakes: Mistakes
) -> Settings:
    """Apply ``environment`` to the file ``raw``, whose type is ``config``.

    ``reader`` converts texts, and adds mistakes of overriding variables to ``mistakes``.
    """
    settings = Settings(raw, {}, {}, Report())
    for variable in VARIABLES:
        text = environment.get(variable.name)
        if not text:
            continue
        if variable.unused:
            settings.report.without_effect.append(variable.name)
            if variable.instead and not _is_blocked(variable, settings):
                settings.notices.append(f"{variable.name}: {variable.instead}")
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
        if not (variable.wins or variable.strict):
            del mistakes[told:]  # another program's variable may have this name, so it is only reported
            report.not_understood.append(variable.name)
        return
    if variable.wins:
        settings.over |= values
    elif not _matters(variable, settings.raw, environment):
        (report.in_force if _refers(settings.raw, variable.name) else report.without_effect).append(variable.name)
        return
    elif _is_overridden(variable, values, settings):
        (report.in_force if _refers(settings.raw, variable.name) else report.overridden).append(variable.name)
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
    """Converted values by path; ``None`` after a mistake."""
    assert variable.values is not None
    try:
        found: Values = variable.values(text, environment)
    except (ValueError, OverflowError) as error:
        reader.refuse(variable.name, str(error))
        return None
    values = {
        path: reader.override(type_at(config, path), each, variable.name) if isinstance(each, str) else each
        for path, each in found.items()
    }
    return None if any(value is BROKEN for value in values.values()) else values


def _is_overridden(variable: Variable, values: Mapping[str, Any], settings: Settings) -> bool:
    if _is_blocked(variable, settings):
        return True
    for path, value in values.items():
        said = _at(settings.raw, path)
        allowed = [_literal(value), *_AGREES.get(path, ())]
        if not (said is _ABSENT or said in allowed) or settings.over.get(path, value) != value:
            return True
    # If the file has the same values, it does not matter which of them applies.
    return False


def _refers(raw: Any, name: str) -> bool:
    """Whether the file has ``${name}`` in a value, which then is the variable's, not the file's."""
    if isinstance(raw, dict):
        return any(_refers(each, name) for each in raw.values())
    if isinstance(raw, list):
        return any(_refers(each, name) for each in raw)
    try:
        return isinstance(raw, str) and name in substitute(raw, {}).names
    except ValueError:
        return False  # the reader reports it


def _is_blocked(variable: Variable, settings: Settings) -> bool:
    return any(path in settings.over or _at(settings.raw, path) is not _ABSENT for path in variable.blocked_by)


def _matters(variable: Variable, raw: Mapping[Any, Any], environment: Mapping[str, str]) -> bool:
    needs = variable.needs
    return not needs or any(_has_value(_at(raw, path), wanted, environment) for path, wanted in needs)


def _has_value(said: Any, wanted: tuple[str, ...], environment: Mapping[str, str]) -> bool:
    if isinstance(said, str):
        try:
            said = substitute(said, environment).text
        except ValueError:
            return False
    return str(said).lower() in wanted if wanted else said not in (_ABSENT, "")


def _at(raw: Any, path: str) -> Any:
    """The value in the file at ``path``; ``_ABSENT`` if there is none. A wrong type on the way counts as a value."""
    for key in path.split("."):
        if raw is None:
            return _ABSENT
        if not isinstance(raw, dict):
            return raw
        raw = raw.get(key)
    return _ABSENT if raw is None else raw


def _put(raw: Any, path: list[str], value: Any) -> dict[Any, Any]:
    """A copy of ``raw`` with ``value`` at ``path``, where mappings are missing."""
    key, *rest = path
    below = raw or {}
    return {**below, key: _put(below.get(key), rest, value) if rest else value}


def _literal(value: Any) -> Any:
    """``value`` escaped for the file: references in environment variables are not expanded."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    return [_literal(item) for item in value] if isinstance(value, list) else value
