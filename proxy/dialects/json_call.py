"""JSON request bodies with the members ``model`` and ``stream``: what all dialects that have them read alike.

Everything that the gateway does not read passes through byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from proxy.dialects.base import RequestReader
from proxy.dialects.call import AUTO, Call
from proxy.errors import ClientFault
from proxy.wire.costs import TooCostly, check_cost
from proxy.wire.malformed import explain
from proxy.wire.patch import DuplicateMember, Members, NotAnObject, NotJSON, TooManyMembers, check_text, parse

MOST_NAMES: Final = 64
# Bytes of a value that is decoded. Larger ones are refused: decoding them would take many times their size in memory,
# and block the loop.
MOST_MODEL: Final = 256 * 1024

NULL, FALSE, TRUE = msgspec.Raw(b"null"), msgspec.Raw(b"false"), msgspec.Raw(b"true")
_ARRAY: Final = (b"[",)
_first_byte: Final = struct.Struct("c").unpack_from  # a memoryview would cost twice as much

_text: Final = msgspec.json.Decoder(str).decode
_names_of: Final = msgspec.json.Decoder(list[str]).decode

# Parsers that ignore case (Go's encoding/json, most of .NET) accept other spellings, and use the last one.
_CASELESS: Final = ("model", "stream")

# Members by which a provider answers with another model than ``model``, which a restricted key may not have.
_OTHER_MODELS: Final = frozenset(
    {"models", "route", "preset"}  # https://openrouter.ai/docs/guides/routing/model-fallbacks, .../features/presets
    | {"fallbacks"}  # LiteLLM's proxy: https://docs.litellm.ai/docs/proxy/reliability; a beta of Anthropic's
)

_UNREADABLE: Final = (NotJSON, NotAnObject, TooManyMembers, DuplicateMember)


class JsonRequestReader(RequestReader):
    """Reads ``model``, ``stream``, and whether ``messages`` are an array.

    ``watched``: names of the members that the gateway reads, which must not occur twice. A call that has none but
    ``usual`` members needs no further checks.
    """

    __slots__ = ("_is_usual", "_watched")

    def __init__(self, watched: frozenset[str], usual: frozenset[str]) -> None:
        self._watched = watched
        self._is_usual = usual.issuperset

    def check(self, body: bytes) -> Iterator[None]:
        return check(body)

    def read(self, body: bytes, checked: bool = False) -> Call:
        try:
            members = parse(body, self._watched, is_text=checked)
        except _UNREADABLE as exc:
            raise _refused(body, exc) from None
        values = members.values
        model, names, auto, verbatim = _model(values.get("model"))
        raw = values.get("stream")
        stream = raw is not None and raw != FALSE and _flag("stream", raw)
        call = Call(body, members, model, names, auto, verbatim, stream)
        if not self._is_usual(values):
            self._read_unusual(call)
        messages = values.get("messages")
        if messages is not None and _first_byte(messages) != _ARRAY:
            raise wrong("messages", "an array")
        return call

    def _read_unusual(self, call: Call) -> None:
        """Read the members that few calls have."""
        call.other_models = check_names(call.members.values)


def check(body: bytes) -> Iterator[None]:
    """The checks of ``read`` that can run in steps, for a large body. Raises ClientFault."""
    try:
        yield from check_text(body)
        yield from check_cost(body)
    except (NotJSON, TooCostly) as exc:
        raise _refused(body, exc) from None


def members_of(body: bytes, watched: frozenset[str], checked: bool = False) -> Members:
    """The members of a body. ``checked``: ``check`` has run. Raises ClientFault with the member that is wrong."""
    try:
        return parse(body, watched, is_text=checked)
    except _UNREADABLE as exc:
        raise _refused(body, exc) from None


def check_names(names: Iterable[str]) -> str:
    """The member that names other models, or ``""``. Raises ClientFault for another spelling of ``_CASELESS``."""
    found = ""
    for name in names:
        folded = name.casefold()
        if folded in _CASELESS and name != folded:
            raise ClientFault(
                f"The request body has a member {name!r}; it must be spelled {folded!r}.",
                param=folded,
                code="ambiguous_member",
            )
        if folded in _OTHER_MODELS:
            found = name
    return found


def wrong(name: str, expected: str, code: str = "invalid_type") -> ClientFault:
    """The error for a member with a wrong value."""
    return ClientFault(f"{name!r} must be {expected}.", param=name, code=code)


def _refused(body: bytes, exc: Exception) -> ClientFault:
    match exc:
        case NotJSON():
            return ClientFault(explain(body, str(exc)), code="invalid_json")
        case NotAnObject():
            return ClientFault("The request body must be a JSON object.", code="invalid_body")
        case DuplicateMember():
            return ClientFault(
                f"The request body has more than one {exc.name!r}.", param=exc.name, code="duplicate_member"
            )
    return ClientFault(f"The JSON object of the request body has {exc}.", code="invalid_body")


def _model(raw: msgspec.Raw | None) -> tuple[str | None, tuple[str, ...], bool, bool]:
    """``model``, ``names``, ``auto`` and ``verbatim`` of a call."""
    if raw is None or raw == NULL:
        return None, (), True, True
    if len(raw) > MOST_MODEL:
        raise wrong("model", f"a name, or an array of 1 to {MOST_NAMES} names", "invalid_value")
    try:
        name = _text(raw)
    except msgspec.ValidationError:
        names = _listed(raw)
        auto = names[-1] == AUTO
        return ",".join(names), names[:-1] if auto else names, auto, False
    return (name, (), True, False) if name == AUTO else (name, (name,), False, True)


def _listed(raw: msgspec.Raw) -> tuple[str, ...]:
    try:
        names = tuple(_names_of(raw))
    except msgspec.ValidationError:
        raise wrong("model", "a string, or an array of strings") from None
    if not 0 < len(names) <= MOST_NAMES or not all(names):
        raise wrong("model", f"a name, or an array of 1 to {MOST_NAMES} names, none of them empty", "invalid_value")
    if AUTO in names[:-1]:
        raise ClientFault(f"{AUTO!r} must be the last of the models.", param="model", code="invalid_value")
    return names


def _flag(name: str, raw: msgspec.Raw) -> bool:
    if raw == TRUE:
        return True
    if raw != FALSE and raw != NULL:
        raise wrong(name, "true or false")
    return False
