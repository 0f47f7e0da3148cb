"""What a request may say of an API key: read whole, so that every mistake is told, and by the name of its field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import parse_qs

from msgspec import UNSET, UnsetType, inspect
from msgspec.structs import asdict

from proxy.auth.records import Wish
from proxy.config.checks import kinds, moment
from proxy.config.mistakes import Mistakes, join, near, shown
from proxy.config.reader import Reader
from proxy.config.schema import Limits
from proxy.config.types import Name, OptionalName, Seconds, Section
from proxy.errors import ClientFault

GRACE_SECS = 3600.0
PAGE = 100  # keys that a list shows, unless asked for more
LARGEST_PAGE = 1000
TOLD = 20  # mistakes; who makes more has made one, often
_LATEST = 253_402_214_400  # 9999-12-31, in every time zone: what lies behind it is no date


class Fields(Section, frozen=True):
    """The members of the body that the configuration has, too, each checked as there."""

    name: Name | UnsetType = UNSET
    owner: OptionalName | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    models: list[Name] | UnsetType = UNSET
    providers: list[Name] | UnsetType = UNSET
    scopes: list[Literal["passthrough"]] | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET


class Rotation(Section, frozen=True):
    """``grace_secs``: how long the old key goes on working."""

    grace_secs: Seconds = GRACE_SECS


# What null, as the wish to have none, stands for.
_NONE: Wish = {"owner": "", "models": [], "providers": [], "scopes": [], "limits": None}
_EXPIRY = ("expires", "expiresIn")
_FIELDS = inspect.type_info(Fields)
_ROTATION = inspect.type_info(Rotation)
_KNOWN = (*(field.encode_name for field in cast(inspect.StructType, _FIELDS).fields), *_EXPIRY)


class _Found(Mistakes):
    """Keeps the fields apart that the mistakes are about."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[str] = []

    def add(self, label: str, path: str, text: str) -> None:
        super().add(label, path, text)
        self.fields.append(path)

    def check(self) -> None:
        """Raises ClientFault (400) if there is any."""
        if self:
            more = [f"and {len(self) - TOLD} more"] if len(self) > TOLD else []
            raise ClientFault("; ".join([*self[:TOLD], *more]), param=self.fields[0] or None, code="invalid_parameters")


def new(body: Mapping[str, Any], now: float) -> Wish:
    """The wish for a new key, which needs a name and a future. Raises ClientFault (400) with every mistake."""
    mistakes = _Found()
    wish = _wish(body, now, mistakes)
    if "name" not in body:
        mistakes.add("", "name", "is missing")
    expires_at = wish.get("expires_at")
    if expires_at is not None and expires_at <= now:
        mistakes.add("", "expires", "is past")
    mistakes.check()
    return wish


def change(body: Mapping[str, Any], now: float) -> Wish:
    """The wish to change a key: what it does not name stays. Raises ClientFault (400) with every mistake."""
    mistakes = _Found()
    wish = _wish(body, now, mistakes)
    mistakes.check()
    return wish


def grace(body: Mapping[str, Any]) -> float:
    """How many seconds a key outlives its rotation. Raises ClientFault (400)."""
    mistakes = _Found()
    known = _known(body, ("graceSecs",), mistakes)
    read = Reader("", mistakes, None, kinds(Path(), None)).read(_ROTATION, known, "")
    mistakes.check()
    return cast(Rotation, read).grace_secs


def page(query: str) -> tuple[int, str]:
    """``limit`` and ``after`` of a list: how many are wanted, behind which id. Raises ClientFault (400)."""
    asked = parse_qs(query, keep_blank_values=True)
    limit, after = asked.get("limit", [str(PAGE)])[-1], asked.get("after", [""])[-1]
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= LARGEST_PAGE):
        raise ClientFault(f"limit: expected a number from 1 to {LARGEST_PAGE}.", param="limit", code="invalid_value")
    return int(limit), after


def _wish(body: Mapping[str, Any], now: float, mistakes: _Found) -> Wish:
    known = _known(body, _KNOWN, mistakes)
    for name in ("name", "enabled"):
        if name in known and known[name] is None:
            mistakes.add("", name, "must not be null")
    plain = {name: value for name, value in known.items() if name not in _EXPIRY}
    read = Reader("", mistakes, None, kinds(Path(), None)).read(_FIELDS, plain, "")
    made = {name: value for name, value in asdict(read).items() if value is not UNSET}
    made |= {name: none for name, none in _NONE.items() if name in known and known[name] is None}
    expiry = _expiry(known, now, mistakes)
    return cast(Wish, made if expiry is UNSET else made | {"expires_at": expiry})


def _known(body: Mapping[str, Any], names: tuple[str, ...], mistakes: _Found) -> dict[str, Any]:
    """The members that have one of these names; the others are mistakes."""
    for name in body:
        if name not in names:
            # Looking for a near one costs 0.1 ms, and who sends thousands is told of the first few only.
            hint = (near(name, names) or f" (known: {', '.join(names)})") if len(mistakes) < TOLD else ""
            mistakes.add("", join("", name), f"unknown field{hint}")
    return {name: value for name, value in body.items() if name in names}


def _expiry(known: Mapping[str, Any], now: float, mistakes: _Found) -> float | UnsetType | None:
    """The moment after which a key is of no use; ``None``: never."""
    given = [name for name in _EXPIRY if name in known]
    if not given:
        return UNSET
    if len(given) > 1:
        mistakes.add("", "expiresIn", "expires says when already")
        return UNSET
    name, value = given[0], known[given[0]]
    if value is None:
        return None
    try:
        return _span(value, now) if name == "expiresIn" else _moment(value)
    except ValueError as error:
        mistakes.add("", name, str(error))
        return UNSET


def _span(value: Any, now: float) -> float:
    if not _is_number(value) or not 0 < value <= _LATEST - now:
        raise ValueError(f"expected a number of seconds above 0, got {shown(value)}")
    return now + float(value)


def _moment(value: Any) -> float | None:
    """Unix seconds as they are, or a text as in the configuration."""
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
