"""``usage`` of messages and of their events, read and written.

``input_tokens`` exclude what was read from a cache or written to one; ``output_tokens`` include thinking.
Source: https://docs.claude.com/en/api/messages, and the ``usage`` types of the package anthropic 2.14
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from proxy.dialects.anthropic.schema import MessageUsage
from proxy.dialects.usage import Usage, UsageDetails


def usage_of(wire: MessageUsage) -> Usage | None:
    """The disjoint classes; ``None``: the provider reported no count at all."""
    input_, cached, output = wire.input_tokens, wire.cache_read_input_tokens, wire.output_tokens
    five_minutes, hour = _written(wire)
    if input_ is None and output is None:
        return None
    thinking = None if wire.output_tokens_details is None else wire.output_tokens_details.thinking_tokens
    if output is not None and thinking and thinking <= output:
        output -= thinking
    if not (five_minutes or hour):
        return Usage(input_, cached, output, thinking)
    return Usage(input_, cached, output, thinking, UsageDetails(cache_write=five_minutes, cache_write_1h=hour))


def find(document: Any) -> Usage | None:
    """The ``usage`` of a decoded answer; ``None`` if it reports no count."""
    wire = find_wire(document)
    return None if wire is None else usage_of(wire)


def find_wire(document: Any) -> MessageUsage | None:
    """The same as the provider reported it."""
    found = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return None
    try:
        return msgspec.convert(found, MessageUsage)
    except msgspec.ValidationError:
        return None


def merged(before: MessageUsage | None, after: MessageUsage) -> MessageUsage:
    """The counts of a stream after one more event that reports some.

    A count replaces an earlier one. But an input count of 0 does not: some servers count the input at the start only
    (Claude Code reads it so).
    """
    if before is None:
        return after
    return MessageUsage(
        _later(before.input_tokens, after.input_tokens),
        _later(before.cache_read_input_tokens, after.cache_read_input_tokens),
        _later(before.cache_creation_input_tokens, after.cache_creation_input_tokens),
        after.cache_creation or before.cache_creation,  # only message_start has it
        before.output_tokens if after.output_tokens is None else after.output_tokens,
        after.output_tokens_details or before.output_tokens_details,
    )


def event_counts(usage: Usage | None) -> dict[str, Any]:
    """``usage`` of the event ``message_delta``: the counts that are known, and ``output_tokens``, which SDKs need."""
    if usage is None:
        return {"output_tokens": 0}
    found: dict[str, Any] = {}
    details = usage.details or UsageDetails()
    if usage.input is not None:
        found["input_tokens"] = usage.input + (details.audio_input or 0) + (details.image_input or 0)
        found["cache_creation_input_tokens"] = (details.cache_write or 0) + (details.cache_write_1h or 0)
        found["cache_read_input_tokens"] = usage.cache_read or 0
    found["output_tokens"] = usage.total_output or usage.reasoning or 0
    if usage.reasoning is not None:
        found["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return found


def message_counts(usage: Usage | None, estimate: int) -> dict[str, Any]:
    """``usage`` of a message. ``estimate``: tokens of the input, for where the provider reports none."""
    found = {"input_tokens": estimate, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0} | event_counts(
        usage
    )
    details = usage.details if usage is not None else UNSET
    if details and (details.cache_write or details.cache_write_1h):
        found["cache_creation"] = {
            "ephemeral_5m_input_tokens": details.cache_write or 0,
            "ephemeral_1h_input_tokens": details.cache_write_1h or 0,
        }
    return found


def _later(before: int | None, after: int | None) -> int | None:
    return after if after or before is None else before


def _written(wire: MessageUsage) -> tuple[int | None, int | None]:
    """Tokens written to the cache for 5 minutes, and for an hour."""
    total, split = wire.cache_creation_input_tokens, wire.cache_creation
    if split is None:
        return total, None
    hour = split.ephemeral_1h_input_tokens
    if total is None:
        return split.ephemeral_5m_input_tokens, hour
    # The total is that of the last event, the split that of the first.
    return (total - hour, hour) if hour and hour <= total else (total, None)
