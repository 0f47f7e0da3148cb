"""``usage`` of OpenAI's answers and events.

``prompt_tokens`` include those read from a cache, written to one, of audio and of images; ``completion_tokens`` include
reasoning, audio and images. All are subtracted here.
Source: https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from proxy.dialects.openai.schema import InputDetails, OutputDetails, WireUsage
from proxy.dialects.usage import Usage, UsageDetails

_NO_INPUT: Final = InputDetails()
_NO_OUTPUT: Final = OutputDetails()


def usage_of(wire: WireUsage) -> Usage | None:
    """The disjoint classes; ``None``: the provider reported no count at all."""
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
    return None if wire is None else usage_of(wire)


def find_wire(document: Any) -> WireUsage | None:
    """The same as the provider reported it."""
    found = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return None
    try:
        wire = msgspec.convert(found, WireUsage)
    except msgspec.ValidationError:
        return None
    return wire if usage_of(wire) is not None else None


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
    input_, audio_input = _split(input_, read.audio_tokens)
    input_, image_input = _split(input_, read.image_tokens)
    output, audio_output = _split(output, written.audio_tokens)
    output, image_output = _split(output, written.image_tokens)
    details = UsageDetails(
        cache_write=cache_write,
        audio_input=audio_input,
        audio_output=audio_output,
        image_input=image_input,
        image_output=image_output,
    )
    return Usage(input_, cached, output, reasoning, details)


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
