"""Read the JSON bodies of the API-key routes.

Every mistake is reported, with the name of its field, in one error response.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from msgspec import UNSET, UnsetType, inspect
from msgspec.structs import asdict

from proxy.auth.records import KeyFields
from proxy.config.checks import kinds, moment
from proxy.config.mistakes import Mistakes, join, near, shown
from proxy.config.reader import ConfigReader
from proxy.control.keys.schemas import KeyChange, KeyRotation
from proxy.errors import ClientFault

MAX_REPORTED: Final = 20  # mistakes; further ones are only counted
_LATEST: Final = 253_402_214_400  # 9999-12-31 in every time zone; datetime knows no later dates

# What null means.
_NULL: Final[KeyFields] = {
    "owner": "",
    "team": "",
    "project": "",
    "labels": {},
    "models": [],
    "providers": [],
    "scopes": [],
    "limits": None,
}
_EXPIRY: Final = ("expires", "expiresIn")
_CHANGE: Final = inspect.type_info(KeyChange)
_ROTATION: Final = inspect.type_info(KeyRotation)
_NAMES: Final = tuple(field.encode_name for field in cast(inspect.StructType, _CHANGE).fields)


class _FieldMistakes(Mistakes):
    """Mistakes, with the fields that they are about."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[str] = []

    def add(self, label: str, path: str, text: str) -> None:
        super().add(label, path, text)
        self.fields.append(path)

    def check(self) -> None:
        """Raises ClientFault (400) if there are mistakes."""
        if self:
            more = [f"and {len(self) - MAX_REPORTED} more"] if len(self) > MAX_REPORTED else []
            text = "; ".join([*self[:MAX_REPORTED], *more])
            raise ClientFault(text, param=self.fields[0] or None, code="invalid_parameters")


def read_new_key(body: Mapping[str, Any], now: float) -> KeyFields:
    """The columns of a new key. Raises ClientFault (400) with every mistake."""
    mistakes = _FieldMistakes()
    columns = _columns(body, now, mistakes)
    if "name" not in body:
        mistakes.add("", "name", "is missing")
    expires_at = columns.get("expires_at")
    if expires_at is not None and expires_at <= now:
        mistakes.add("", "expires", "is past")
    mistakes.check()
    return columns


def read_change(body: Mapping[str, Any], now: float) -> KeyFields:
    """The columns that change. Raises ClientFault (400) with every mistake."""
    mistakes = _FieldMistakes()
    columns = _columns(body, now, mistakes)
    mistakes.check()
    return columns


def read_grace(body: Mapping[str, Any]) -> float:
    """How many seconds the old secret keeps working after a rotation. Raises ClientFault (400)."""
    mistakes = _FieldMistakes()
    known = _known(body, ("graceSecs",), mistakes)
    rotation = _reader(mistakes).read(_ROTATION, known, "")
    mistakes.check()
    return cast(KeyRotation, rotation).grace_secs


def _columns(body: Mapping[str, Any], now: float, mistakes: _FieldMistakes) -> KeyFields:
    known = _known(body, _NAMES, mistakes)
    for name in ("name", "enabled"):
        if name in known and known[name] is None:
            mistakes.add("", name, "must not be null")
    plain = {name: value for name, value in known.items() if name not in _EXPIRY}
    change = _reader(mistakes).read(_CHANGE, plain, "")
    columns = {name: value for name, value in asdict(change).items() if value is not UNSET}
    columns |= {name: none for name, none in _NULL.items() if name in known and known[name] is None}
    expiry = _expiry(known, now, mistakes)
    return cast(KeyFields, columns if expiry is UNSET else columns | {"expires_at": expiry})


def _reader(mistakes: _FieldMistakes) -> ConfigReader:
    return ConfigReader("", mistakes, None, kinds(Path(), None))


def _known(body: Mapping[str, Any], names: tuple[str, ...], mistakes: _FieldMistakes) -> dict[str, Any]:
    """The members with one of these names; the others are mistakes."""
    for name in body:
        if name not in names:
            # A suggestion costs 0.1 ms, so only reported mistakes get one.
            hint = (near(name, names) or f" (known: {', '.join(names)})") if len(mistakes) < MAX_REPORTED else ""
            mistakes.add("", join("", name), f"unknown field{hint}")
    return {name: value for name, value in body.items() if name in names}


def _expiry(known: Mapping[str, Any], now: float, mistakes: _FieldMistakes) -> float | UnsetType | None:
    """When the key expires, in Unix seconds; ``None``: never; ``UNSET``: not given."""
    given = [name for name in _EXPIRY if name in known]
    if not given:
        return UNSET
    if len(given) > 1:
        mistakes.add("", "expiresIn", "is not allowed, because expires is given already")
        return UNSET
    name, value = given[0], known[given[0]]
    if value is None:
        return None
    try:
        return _after(value, now) if name == "expiresIn" else _time(value)
    except ValueError as error:
        mistakes.add("", name, str(error))
        return UNSET


def _after(seconds: Any, now: float) -> float:
    if not _is_number(seconds) or not 0 < seconds <= _LATEST - now:
        raise ValueError(f"expected a number of seconds above 0, got {shown(seconds)}")
    return now + float(seconds)


def _time(value: Any) -> float | None:
    """Unix seconds of a number or of an ISO 8601 text; ``None`` for an empty text."""
    if isinstance(value, str):
        text = moment(value)
        return datetime.fromisoformat(text).timestamp() if text else None
    if not _is_number(value) or not 0 < value <= _LATEST:
        raise ValueError(f"expected a moment in ISO 8601 or Unix seconds, got {shown(value)}")
    return float(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
