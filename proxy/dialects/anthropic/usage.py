"""``usage`` of messages and of their events, read and written.

``input_tokens`` exclude what was read from a cache or written to one; ``output_tokens`` include thinking. Both exclude
what a compaction of the context took, which is in ``iterations`` only.
Source: https://docs.claude.com/en/api/messages, and the ``usage`` types of the package anthropic 2.14
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from proxy.dialects.anthropic.schema import MessageUsage
from proxy.dialects.reported_cost import cost_of, service_tier
from proxy.dialects.usage import Usage, UsageDetails

# Iterations of other models: https://docs.claude.com/en/docs/agents-and-tools/tool-use/advisor-tool, and the beta
# server-side-fallback.
_OTHER_MODELS: Final = ("advisor_message", "fallback_message")
_NO_DETAILS: Final = UsageDetails()


def usage_of(wire: MessageUsage) -> Usage | None:
    """The disjoint classes; ``None``: the provider reported no count at all."""
    found = totals_of(wire)
    if found is None or not (wire.iterations or wire.server_tool_use or wire.cost is not None or _tier(wire)):
        return found
    return _billed(wire, found)


def totals_of(wire: MessageUsage) -> Usage | None:
    """The same as clients expect it: without what a compaction took, and what else only the bill needs."""
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


def _billed(wire: MessageUsage, counts: Usage) -> Usage:
    """Counts with those of compactions, and what else decides on the price."""
    entries = [each for each in wire.iterations if isinstance(each, dict)] if isinstance(wire.iterations, list) else []
    found, details = counts, _NO_DETAILS if counts.details is UNSET else counts.details
    for entry in entries:
        compaction = find({"usage": entry | {"iterations": None}}) if entry.get("type") == "compaction" else None
        if compaction is not None:
            found, details = _added(found, details, compaction)
    tools = wire.server_tool_use if isinstance(wire.server_tool_use, dict) else {}
    searches = tools.get("web_search_requests")
    details = replace(
        details,
        web_searches=searches if isinstance(searches, int) and searches > 0 else None,
        service_tier=_tier(wire),
        reported_cost=cost_of(wire.cost, wire.cost_details, wire.is_byok),
        other_models=any(entry.get("type") in _OTHER_MODELS for entry in entries),
    )
    return found if details == _NO_DETAILS else replace(found, details=details)


def _added(usage: Usage, details: UsageDetails, more: Usage) -> tuple[Usage, UsageDetails]:
    written = more.details or _NO_DETAILS
    usage = Usage(
        _sum(usage.input, more.input),
        _sum(usage.cache_read, more.cache_read),
        _sum(usage.output, more.output),
        usage.reasoning,
    )
    details = replace(
        details,
        cache_write=_sum(details.cache_write, written.cache_write),
        cache_write_1h=_sum(details.cache_write_1h, written.cache_write_1h),
    )
    return usage, details


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else (one or 0) + other


def _tier(wire: MessageUsage) -> str:
    """The service tier. The mode ``fast`` has its own prices, too, and what must run in the US:
    https://platform.claude.com/docs/en/about-claude/pricing
    """
    found = service_tier(wire.speed) or service_tier(wire.service_tier)
    return found or ("us" if wire.inference_geo == "us" else "")


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
    except (msgspec.ValidationError, UnicodeEncodeError):  # half a surrogate pair instead of a count
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
        after.server_tool_use or before.server_tool_use,
        after.iterations or before.iterations,
        after.service_tier or before.service_tier,
        after.speed or before.speed,
        after.inference_geo or before.inference_geo,
        before.cost if after.cost is None else after.cost,
        after.cost_details or before.cost_details,
        before.is_byok if after.is_byok is None else after.is_byok,
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
