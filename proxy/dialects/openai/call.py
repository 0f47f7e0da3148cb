"""JSON request bodies of the OpenAI API: the few members that the gateway reads.

Everything else in the body passes through byte for byte.
Source: https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxy.dialects.call import Call
from proxy.dialects.json_call import FALSE, JsonRequestReader, check_names, wrong
from proxy.dialects.json_estimate import limit_of
from proxy.dialects.openai import estimate
from proxy.wire.criteria import FIELDS, of_members, stated
from proxy.wire.patch import Members

READ: Final = (
    FIELDS
    | {"model", "stream", "messages", "stream_options", "n", "prompt", "store"}
    | {"input", "instructions", "tools", "functions"}  # for estimate.py, as the next ones
    | {"max_tokens", "max_completion_tokens", "max_output_tokens"}
)

MOST_CHOICES: Final = 10_000  # of ``n``; more count as that
MOST_OPTIONS: Final = 16  # members of stream_options
# Bytes of a value that is decoded. Larger values are refused, or counted by their bytes: decoding them would take
# many times their size in memory, and block the loop.
MOST_OF_OPTIONS: Final = 4096
MOST_PROMPTS: Final = 64 * 1024
MOST_COUNTED: Final = 1024 * 1024
MOST_SEARCHED: Final = 10_000  # quotes or brackets counted in larger values

_options: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode

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


class OpenAIRequests(JsonRequestReader):
    """Reads calls of all endpoints of the OpenAI API."""

    __slots__ = ()

    media_marks = (b'"image_url"', b'"input_audio"', b'"file_data"')
    media = estimate.MEDIA
    kept_context = estimate.KEPT_CONTEXT
    prompt_tokens = staticmethod(estimate.prompt_tokens)
    output_tokens = staticmethod(estimate.output_tokens)

    def with_usage(self, call: Call) -> bytes:
        raw = call.members.raw("stream_options")  # bounded by ``read``
        options = _options(raw) if raw is not None and raw != b"null" else {}
        return _encode({**options, "include_usage": True})

    def _read_unusual(self, call: Call) -> None:
        members = call.members
        values = members.values
        call.other_models = check_names(values)
        if _RARE.isdisjoint(values):
            return
        call.router_fields = router_fields = stated(members)
        if router_fields:
            call.criteria = of_members(members, router_fields)
        call.stateless = values.get("store") == FALSE
        call.choices = _choices(members)
        call.wants_usage = _wants_usage(members)


class InputTokensRequests(OpenAIRequests):
    """Reads calls of ``responses/input_tokens``. They cost no tokens."""

    __slots__ = ()

    @staticmethod
    def prompt_tokens(call: Call, per_image: int, per_audio: int) -> int:
        return 0

    @staticmethod
    def output_tokens(call: Call, model_max: int, default: int) -> int:
        return 0


REQUESTS: Final = OpenAIRequests(READ, _USUAL)
COUNTS: Final = InputTokensRequests(READ, _USUAL)


def _choices(members: Members) -> int:
    n = limit_of(members, "n") if "n" in members.values else 1
    return min(max(n, 1), MOST_CHOICES) * _prompts(members)


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
        raise wrong("stream_options", "an object")
    size = members.size("stream_options")
    options = _options(members.raw("stream_options") or b"{}") if size <= MOST_OF_OPTIONS else None
    if options is None or len(options) > MOST_OPTIONS:
        raise wrong(
            "stream_options",
            f"an object of at most {MOST_OPTIONS} members and {MOST_OF_OPTIONS} bytes",
            "invalid_value",
        )
    asked = options.get("include_usage")
    return asked is not None and bytes(asked) == b"true"
