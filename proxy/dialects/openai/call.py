"""JSON request bodies of the OpenAI API: the few members that the gateway reads.

Everything else in the body passes through byte for byte.
Source: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from proxy.dialects.call import AUTO, Call
from proxy.errors import ClientFault
from proxy.wire.costs import TooCostly, check_cost
from proxy.wire.criteria import FIELDS, of_members, stated
from proxy.wire.malformed import explain
from proxy.wire.patch import DuplicateMember, Members, NotAnObject, NotJSON, TooManyMembers, check_text, parse

READ: Final = (
    FIELDS
    | {"model", "stream", "messages", "stream_options", "n", "prompt", "store"}
    | {"input", "instructions", "tools", "functions"}  # for estimate.py, as the next ones
    | {"max_tokens", "max_completion_tokens", "max_output_tokens"}
)

MOST_NAMES: Final = 64
MOST_OPTIONS: Final = 16  # members of stream_options
# Bytes of a value that is decoded. Larger values are refused, or counted by their bytes: decoding them would take
# many times their size in memory, and block the loop.
MOST_MODEL: Final = 256 * 1024
MOST_OF_OPTIONS: Final = 4096
MOST_PROMPTS: Final = 64 * 1024
MOST_COUNTED: Final = 1024 * 1024
MOST_SEARCHED: Final = 10_000  # quotes or brackets counted in larger values

_text: Final = msgspec.json.Decoder(str).decode
_options: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_names_of: Final = msgspec.json.Decoder(list[str]).decode
_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode

_NULL, _FALSE, _TRUE = msgspec.Raw(b"null"), msgspec.Raw(b"false"), msgspec.Raw(b"true")
_ARRAY: Final = (b"[",)
_first_byte: Final = struct.Struct("c").unpack_from  # a memoryview would cost twice as much

# Parsers that ignore case (Go's encoding/json, most of .NET) accept other spellings, and use the last one.
_CASELESS: Final = ("model", "stream")

# Members by which a provider answers with another model than ``model``, which a restricted key may not have.
_OTHER_MODELS: Final = frozenset(
    {"models", "route", "preset"}  # https://openrouter.ai/docs/guides/routing/model-fallbacks, .../features/presets
    | {"fallbacks"}  # LiteLLM's proxy: https://docs.litellm.ai/docs/proxy/reliability
)

# Members that most calls lack. If all are absent, none is searched for.
_RARE: Final = FIELDS | {"store", "n", "prompt", "stream_options"}

# The other usual members: a call with no others needs no further checks.
_USUAL: Final = (READ - _RARE) | {
    *("temperature", "top_p", "stop", "seed", "user", "metadata", "tool_choice", "parallel_tool_calls"),
    *("response_format", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"),
    *("reasoning_effort", "reasoning", "modalities", "audio", "service_tier", "prediction", "verbosity"),
    *("dimensions", "encoding_format", "text", "truncation", "include", "previous_response_id", "top_k", "min_p"),
    *("safety_identifier", "prompt_cache_key", "web_search_options", "background", "suffix", "echo", "best_of"),
}

_is_usual: Final = _USUAL.issuperset


def check(body: bytes) -> Iterator[None]:
    """The checks of ``read`` that can run in steps, for a large body. Raises ClientFault."""
    try:
        yield from check_text(body)
        yield from check_cost(body)
    except NotJSON as exc:
        raise _not_json(body, exc) from None
    except TooCostly as exc:
        raise ClientFault(f"The JSON object of the request body has {exc}.", code="invalid_body") from None


def read(body: bytes, *, checked: bool = False) -> Call:
    """Read a JSON body. Raises ClientFault with the member that is wrong."""
    try:
        members = parse(body, READ, is_text=checked)
    except NotAnObject:
        raise ClientFault("The request body must be a JSON object.", code="invalid_body") from None
    except NotJSON as exc:
        raise _not_json(body, exc) from None
    except TooManyMembers as exc:
        raise ClientFault(f"The JSON object of the request body has {exc}.", code="invalid_body") from None
    except DuplicateMember as exc:
        raise ClientFault(
            f"The request body has more than one {exc.name!r}.", param=exc.name, code="duplicate_member"
        ) from None
    values = members.values
    model, names, auto, verbatim = _model(values.get("model"))
    raw = values.get("stream")
    stream = raw is not None and raw != _FALSE and _flag("stream", raw)
    call = Call(body, members, model, names, auto, verbatim, stream)
    if not _is_usual(values):
        _read_unusual(call)
    messages = values.get("messages")
    if messages is not None and _first_byte(messages) != _ARRAY:
        raise _wrong("messages", "an array")
    return call


def with_usage(call: Call) -> bytes:
    """The call's ``stream_options`` with a request for the usage, as JSON."""
    raw = call.members.raw("stream_options")  # bounded by ``read``
    options = _options(raw) if raw is not None and raw != b"null" else {}
    return _encode({**options, "include_usage": True})


def _read_unusual(call: Call) -> None:
    """Read the members that few calls have."""
    members = call.members
    values = members.values
    call.other_models = _check_names(values)
    if _RARE.isdisjoint(values):
        return
    call.router_fields = router_fields = stated(members)
    if router_fields:
        call.criteria = of_members(members, router_fields)
    call.stateless = values.get("store") == _FALSE
    call.choices = _choices(members)
    call.wants_usage = _wants_usage(members)


def _not_json(body: bytes, exc: NotJSON) -> ClientFault:
    return ClientFault(explain(body, str(exc)), code="invalid_json")


def _check_names(names: Iterable[str]) -> str:
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


def _model(raw: msgspec.Raw | None) -> tuple[str | None, tuple[str, ...], bool, bool]:
    """``model``, ``names``, ``auto`` and ``verbatim`` of a call."""
    if raw is None or raw == _NULL:
        return None, (), True, True
    if len(raw) > MOST_MODEL:
        raise _wrong("model", f"a name, or an array of 1 to {MOST_NAMES} names", "invalid_value")
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
        raise _wrong("model", "a string, or an array of strings") from None
    if not 0 < len(names) <= MOST_NAMES or not all(names):
        raise _wrong("model", f"a name, or an array of 1 to {MOST_NAMES} names, none of them empty", "invalid_value")
    if AUTO in names[:-1]:
        raise ClientFault(f"{AUTO!r} must be the last of the models.", param="model", code="invalid_value")
    return names


def _flag(name: str, raw: msgspec.Raw) -> bool:
    if raw == _TRUE:
        return True
    if raw != _FALSE and raw != _NULL:
        raise _wrong(name, "true or false")
    return False


def _choices(members: Members) -> int:
    raw = members.beginning("n", 5)
    n = max(int(raw), 1) if raw.isdigit() and len(raw) < 5 else 1
    return n * _prompts(members)


def _prompts(members: Members) -> int:
    """The count of prompts: a legacy completion may have several, each with its own choices."""
    if members.first_byte("prompt") != b"[":
        return 1
    if members.size("prompt") > MOST_PROMPTS:
        return max(_prompts_counted(members), 1)
    items = _items(members.raw("prompt") or b"[]")
    # An array of numbers is one prompt, in tokens.
    return len(items) if items and bytes(items[0])[:1] in (b'"', b"[") else 1


def _prompts_counted(members: Members) -> int:
    """The prompts of a large array, counted without decoding: token arrays by brackets, texts by quotes.

    If the count is too high, the stream ends with [DONE] instead of the last finish reason.
    """
    body, (begin, end) = members.body, members.span("prompt")
    if body.find(b'"', begin, end) < 0:
        return _count(body, b"[", begin, end) - 1  # one array of tokens is one prompt
    return -(-_count(body, b'"', begin, end) // 2)  # a text that ends with a backslash has one quote that counts


def _count(body: bytes, mark: bytes, begin: int, end: int) -> int:
    """Count ``mark`` without a backslash before it. In a large value at most MOST_SEARCHED are counted."""
    if end - begin <= MOST_COUNTED:
        return body.count(mark, begin, end) - body.count(b"\\" + mark, begin, end)
    found = 0
    for _ in range(MOST_SEARCHED):
        begin = body.find(mark, begin, end) + 1
        if not begin:
            return found
        found += body[begin - 2] != 0x5C
    return MOST_SEARCHED


def _wants_usage(members: Members) -> bool:
    first = members.first_byte("stream_options")
    if first is None or first == b"n":
        return False
    if first != b"{":
        raise _wrong("stream_options", "an object")
    size = members.size("stream_options")
    options = _options(members.raw("stream_options") or b"{}") if size <= MOST_OF_OPTIONS else None
    if options is None or len(options) > MOST_OPTIONS:
        raise _wrong(
            "stream_options",
            f"an object of at most {MOST_OPTIONS} members and {MOST_OF_OPTIONS} bytes",
            "invalid_value",
        )
    asked = options.get("include_usage")
    return asked is not None and bytes(asked) == b"true"


def _wrong(name: str, expected: str, code: str = "invalid_type") -> ClientFault:
    return ClientFault(f"{name!r} must be {expected}.", param=name, code=code)
