"""``usage`` of OpenAI's answers and events.

``prompt_tokens`` include those read from a cache, written to one, of audio and of images; ``completion_tokens`` include
reasoning, audio and images. All are subtracted here. Some providers report what they billed, too.
Source: https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from proxy.dialects.openai.schema import InputDetails, OutputDetails, WireUsage
from proxy.dialects.reported_cost import cost_of, nano_of_ticks, nano_usd, service_tier
from proxy.dialects.usage import Usage, UsageDetails

_NO_INPUT: Final = InputDetails()
_NO_OUTPUT: Final = OutputDetails()
_NO_COUNTS: Final = Usage()
_NO_DETAILS: Final = UsageDetails()
_MOST_SECONDS: Final = 1_000_000


def usage_of(wire: WireUsage, tier: Any = None) -> Usage | None:
    """The disjoint classes; ``None``: the provider reported no count and no cost. ``tier``: ``service_tier``."""
    if (
        (tier is None or tier == "default")
        and wire.cost is None
        and wire.cost_in_usd_ticks is None
        and wire.estimated_cost is None
        and wire.seconds is None
    ):
        return _counts(wire)  # the usual answer
    return _billed(wire, service_tier(tier))


def _counts(wire: WireUsage) -> Usage | None:
    prompt, completion = wire.prompt_tokens, wire.completion_tokens
    if prompt is None:
        prompt = wire.input_tokens
    if completion is None:
        completion = wire.output_tokens
        if prompt is None and completion is None:
            return None
    input_details = wire.prompt_tokens_details or wire.input_tokens_details or wire.input_token_details
    output_details = wire.completion_tokens_details or wire.output_tokens_details
    if input_details is None and output_details is None:
        return Usage(prompt, None, completion)
    return _detailed(prompt, input_details or _NO_INPUT, completion, output_details or _NO_OUTPUT)


def find(document: Any) -> Usage | None:
    """The ``usage`` of a decoded answer or event; ``None`` if it reports no count."""
    wire = find_wire(document)
    return None if wire is None else usage_of(wire, document.get("service_tier"))


def find_wire(document: Any) -> WireUsage | None:
    """The same as the provider reported it."""
    found = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return None
    try:
        wire = msgspec.convert(found, WireUsage)
    except (msgspec.ValidationError, UnicodeEncodeError):  # half a surrogate pair instead of a count
        return None
    return wire if has_count(wire) else None


def has_count(wire: WireUsage) -> bool:
    """Whether ``usage_of`` finds any. A stream may have a usage in each of its events."""
    return not (
        wire.prompt_tokens is None
        and wire.completion_tokens is None
        and wire.input_tokens is None
        and wire.output_tokens is None
        and wire.seconds is None
        and wire.cost_in_usd_ticks is None
    )


def _billed(wire: WireUsage, tier: str) -> Usage | None:
    """Counts, and what the provider says it billed."""
    found = _counts(wire)
    cost = nano_of_ticks(wire.cost_in_usd_ticks)
    if cost is None:
        cost = cost_of(wire.cost, wire.cost_details, wire.is_byok)
    if cost is None:
        cost = nano_usd(wire.estimated_cost)  # DeepInfra: https://deepinfra.com/docs/openai_api
    duration = _milliseconds(wire.seconds) if found is None else None
    if cost is None and duration is None and (found is None or not tier):
        return found
    found = found or _NO_COUNTS
    details = _NO_DETAILS if found.details is UNSET else found.details
    return replace(found, details=replace(details, audio_ms=duration, service_tier=tier, reported_cost=cost))


def _milliseconds(seconds: Any) -> int | None:
    """The duration of what was transcribed."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _MOST_SECONDS:
        return None
    return round(seconds * 1000)


def _detailed(prompt: int | None, read: InputDetails, completion: int | None, written: OutputDetails) -> Usage:
    cached, reasoning = read.cached_tokens, written.reasoning_tokens
    input_, output = _without(prompt, cached), _without(completion, reasoning)
    if not (
        read.cache_write_tokens
        or read.audio_tokens
        or read.image_tokens
        or written.audio_tokens
        or written.image_tokens
    ):
        return Usage(input_, cached, output, reasoning)
    input_, cache_write = _split(input_, read.cache_write_tokens)
    cache_write, cache_write_long = _split(cache_write, _long_lived(read.cache_write_tokens_details))
    input_, audio_input = _split(input_, read.audio_tokens)
    input_, image_input = _split(input_, read.image_tokens)
    output, audio_output = _split(output, written.audio_tokens)
    output, image_output = _split(output, written.image_tokens)
    details = UsageDetails(
        cache_write=cache_write,
        cache_write_1h=cache_write_long,
        audio_input=audio_input,
        audio_output=audio_output,
        image_input=image_input,
        image_output=image_output,
    )
    return Usage(input_, cached, output, reasoning, details)


def _long_lived(details: Any) -> int | None:
    """Tokens of the Responses API that stay in the cache for twelve hours instead of thirty minutes."""
    found = details.get("ttl_12h_tokens") if isinstance(details, dict) else None
    return found if isinstance(found, int) and found > 0 else None


def _without(total: int | None, part: int | None) -> int | None:
    # Some providers report reasoning tokens beside completion_tokens instead of within them
    # (then the part may exceed the total); a negative count would be wrong.
    if total is None or not part or part > total:
        return total
    return total - part


def _split(total: int | None, part: int | None) -> tuple[int | None, int | None]:
    """The rest of the total, and the part; ``None`` for a part that exceeds it: cached audio is counted as cached."""
    if total is None or part is None or not 0 <= part <= total:
        return total, None
    return total - part, part
