"""``usage`` of OpenAI's answers and events.

``prompt_tokens`` include those read from a cache, written to one, of audio and of images; ``completion_tokens`` include
reasoning, audio and images. All are subtracted here.
Source: https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from proxy.dialects.usage import Usage


class InputDetails(Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class OutputDetails(Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class WireUsage(Struct, gc=False):
    """``usage`` of chat, completions and embeddings (``prompt_…``) or of responses, images and audio (``input_…``).

    Transcriptions spell it ``input_token_details``.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    input_token_details: InputDetails | None = None

    def usage(self) -> Usage | None:
        """The disjoint classes, or ``None`` if the provider reported no count at all."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        if prompt is None:
            prompt = self.input_tokens
        if completion is None:
            completion = self.output_tokens
            if prompt is None and completion is None:
                return None
        input_details = self.prompt_tokens_details or self.input_tokens_details or self.input_token_details
        output_details = self.completion_tokens_details or self.output_tokens_details
        if input_details is None and output_details is None:
            return Usage(prompt, None, completion)
        return _detailed(prompt, input_details or _NO_INPUT, completion, output_details or _NO_OUTPUT)


_NO_INPUT = InputDetails()
_NO_OUTPUT = OutputDetails()


def find(document: Any) -> Usage | None:
    """The ``usage`` of a decoded answer or event; ``None`` if it reports no count."""
    wire = find_wire(document)
    return wire.usage() if wire is not None else None


def find_wire(document: Any) -> WireUsage | None:
    """The same as the provider reported it."""
    found = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return None
    try:
        wire = msgspec.convert(found, WireUsage)
    except msgspec.ValidationError:
        return None
    return wire if wire.usage() is not None else None


def _detailed(prompt: int | None, read: InputDetails, completion: int | None, written: OutputDetails) -> Usage:
    cached, reasoning = read.cached_tokens, written.reasoning_tokens
    rest = _without(prompt, cached)
    cache_write = _within(rest, read.cache_write_tokens)
    rest = _without(rest, cache_write)
    audio_input = _within(rest, read.audio_tokens)
    rest = _without(rest, audio_input)
    image_input = _within(rest, read.image_tokens)
    input_ = _without(rest, image_input)
    rest = _without(completion, reasoning)
    audio_output = _within(rest, written.audio_tokens)
    rest = _without(rest, audio_output)
    image_output = _within(rest, written.image_tokens)
    return Usage(
        input_,
        cached,
        _without(rest, image_output),
        reasoning,
        cache_write=cache_write,
        audio_input=audio_input,
        audio_output=audio_output,
        image_input=image_input,
        image_output=image_output,
    )


def _without(total: int | None, part: int | None) -> int | None:
    # Some providers report reasoning tokens beside completion_tokens instead of within them
    # (then the part may exceed the total); a negative count would be wrong.
    if total is None or not part or part > total:
        return total
    return total - part


def _within(total: int | None, part: int | None) -> int | None:
    """The part, ``None`` where more than the total is left: cached audio is counted as cached."""
    return None if part is None or total is None or part > total else part
