"""Criteria for the choice of a model: the router fields of a body, and the same as headers.

They are removed from the body before it is sent. An explicit ``null`` in the body clears the criterion and overrides
the header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from multidict import istr

from proxy.errors import ClientFault
from proxy.wire.patch import Members

MOST_TAGS: Final = 64
MOST_TOKENS: Final = 10**12
LONGEST: Final = 200  # characters of a tag or type, as in the configuration
MOST_BYTES: Final = 256 * 1024  # of a field's JSON: MOST_TAGS of the longest tags, each character spelled as an escape


class Criteria(Struct, frozen=True):
    """The defaults require nothing. ``type`` may also be ``fast``, which is a speed tier.

    ``min_context_size`` is in tokens, ``min_success_rate`` from 0 to 1.
    """

    tags: tuple[str, ...] = ()
    type: str = ""
    min_context_size: int = 0
    json_response: bool = False
    prefer_fast: bool = False
    min_success_rate: float = 0.0


NONE: Final = Criteria()


def stated(members: Members) -> tuple[str, ...]:
    """The router fields in the body, ``null`` ones included."""
    return tuple([name for name in _FIELDS if name in members])


def of_members(members: Members, fields: Collection[str]) -> Criteria:
    """Criteria from the body's ``stated`` fields; ``NONE`` itself if there are none.

    Raises ClientFault (400) naming the field.
    """
    criteria: dict[str, Any] = {}
    for name in fields:
        if members.size(name) > MOST_BYTES:
            raise ClientFault(f"{name!r} is too long.", param=name, code="invalid_value")
        raw = members.raw(name)
        if raw is not None and raw != b"null":
            criteria[name] = _FIELDS[name].of_json(name, raw)
    return _criteria(criteria, NONE)


def of_headers(headers: Mapping[str, str], body: Criteria = NONE, fields: Collection[str] = ()) -> Criteria:
    """The criteria of body and headers together; ``fields`` are ``stated`` in the body, and override headers.

    Raises ClientFault (400) naming the header.
    """
    criteria: dict[str, Any] = {}
    for looked_up in _LOOKED_UP:
        if looked_up in headers:
            header = str(looked_up)
            name, text = HEADERS[header], headers[header].strip(" \t")
            if text and name not in fields:
                criteria[name] = _FIELDS[name].of_text(header, text)
    return _criteria(criteria, body) if criteria else body


def _criteria(criteria: dict[str, Any], base: Criteria) -> Criteria:
    found = msgspec.structs.replace(base, **criteria)
    return NONE if found == NONE else found


# -- one reader per kind of field -----------------------------------------------------------------

_tags_of: Final = msgspec.json.Decoder(list[str]).decode
_text_of: Final = msgspec.json.Decoder(str).decode
_integer: Final = re.compile(r"[0-9]{1,13}").fullmatch
_rate: Final = re.compile(r"(?:0|1)?(?:\.[0-9]{1,20})?|1\.0*").fullmatch
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


def _wrong(name: str, expected: str, code: str = "invalid_type") -> ClientFault:
    return ClientFault(f"{name!r} must be {expected}.", param=name, code=code)


def _json_tags(name: str, raw: bytes) -> tuple[str, ...]:
    try:
        return _tags(name, _tags_of(raw))
    except msgspec.ValidationError:
        raise _wrong(name, "an array of strings") from None


def _text_tags(name: str, text: str) -> tuple[str, ...]:
    return _tags(name, [tag for part in text.split(",") if (tag := part.strip(" \t"))])


def _tags(name: str, found: list[str]) -> tuple[str, ...]:
    if len(found) > MOST_TAGS or not all(0 < len(tag) <= LONGEST for tag in found):
        raise _wrong(name, f"at most {MOST_TAGS} tags of 1 to {LONGEST} characters", "invalid_value")
    return tuple(sorted(set(found)))


def _json_type(name: str, raw: bytes) -> str:
    if raw[:1] != b'"':
        raise _wrong(name, "a string")
    return _text_type(name, _text_of(raw))


def _text_type(name: str, text: str) -> str:
    if not 0 < len(text) <= LONGEST:
        raise _wrong(name, f"a text of 1 to {LONGEST} characters", "invalid_value")
    return text


def _json_size(name: str, raw: bytes) -> int:
    return _text_size(name, raw.decode("latin-1"))


def _text_size(name: str, text: str) -> int:
    if not _integer(text) or int(text) > MOST_TOKENS:
        raise _wrong(name, "a number of tokens: a whole number, not negative")
    return int(text)


def _json_flag(name: str, raw: bytes) -> bool:
    if raw not in (b"true", b"false"):
        raise _wrong(name, "true or false")
    return raw == b"true"


def _text_flag(name: str, text: str) -> bool:
    found = _FLAGS.get(text.lower())
    if found is None:
        raise _wrong(name, "true or false")
    return found


def _json_rate(name: str, raw: bytes) -> float:
    if raw[:1] not in b"0123456789-" or len(raw) > 32:
        raise _wrong(name, "a number from 0 to 1")
    found = float(raw)
    if not 0 <= found <= 1:
        raise _wrong(name, "a number from 0 to 1", "invalid_value")
    return found


def _text_rate(name: str, text: str) -> float:
    if not _rate(text) or text == ".":
        raise _wrong(name, "a number from 0 to 1")
    found = float(text)
    if found > 1:
        raise _wrong(name, "a number from 0 to 1", "invalid_value")
    return found


class _Field(NamedTuple):
    of_json: Callable[[str, bytes], Any]
    of_text: Callable[[str, str], Any]


_FIELDS: Final = {
    "tags": _Field(_json_tags, _text_tags),
    "type": _Field(_json_type, _text_type),
    "min_context_size": _Field(_json_size, _text_size),
    "json_response": _Field(_json_flag, _text_flag),
    "prefer_fast": _Field(_json_flag, _text_flag),
    "min_success_rate": _Field(_json_rate, _text_rate),
}
FIELDS: Final = frozenset(_FIELDS)
_PREFIX: Final = "x-router-"
HEADERS: Final = {f"{_PREFIX}{name.replace('_', '-')}": name for name in _FIELDS}
# An istr caches its lower case: six lookups cost half as much as joining all names once.
_LOOKED_UP: Final = tuple(map(istr, HEADERS))
