"""What an answer consumed, as the provider told it: disjoint token classes, ``None`` where it did not say.

OpenAI's ``prompt_tokens`` include the cached ones and ``completion_tokens`` the reasoning ones
(https://platform.openai.com/docs/api-reference/chat/object), so both are subtracted here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class PromptDetails(Struct, gc=False):
    cached_tokens: int | None = None


class CompletionDetails(Struct, gc=False):
    reasoning_tokens: int | None = None


class WireUsage(Struct, gc=False):
    """``usage`` of chat, completions and embeddings (``prompt_…``) or of responses and audio (``input_…``)."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: PromptDetails | None = None
    output_tokens_details: CompletionDetails | None = None

    def usage(self) -> Usage | None:
        """The disjoint classes, or ``None`` if the provider named no count at all."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        if prompt is None:
            prompt = self.input_tokens
        if completion is None:
            completion = self.output_tokens
            if prompt is None and completion is None:
                return None
        prompt_details = self.prompt_tokens_details or self.input_tokens_details
        completion_details = self.completion_tokens_details or self.output_tokens_details
        if prompt_details is None and completion_details is None:
            return Usage(prompt, None, completion)
        cached = None if prompt_details is None else prompt_details.cached_tokens
        reasoning = None if completion_details is None else completion_details.reasoning_tokens
        return Usage(
            _without(prompt, cached) if cached else prompt,
            cached,
            _without(completion, reasoning) if reasoning else completion,
            reasoning,
        )


class Usage(Struct, frozen=True, gc=False):
    """Disjoint counts: input is what was not cached, output is what was not reasoning."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None

    @property
    def total_input(self) -> int | None:
        return None if self.input is None else self.input + (self.cached or 0)

    @property
    def total_output(self) -> int | None:
        return None if self.output is None else self.output + (self.reasoning or 0)


def find(document: Any) -> Usage | None:
    """What a decoded answer or event tells under ``usage``; ``None`` if it tells no count."""
    wire = find_wire(document)
    return wire.usage() if wire is not None else None


def find_wire(document: Any) -> WireUsage | None:
    """The same as it was told."""
    told = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(told, dict):
        return None
    try:
        wire = msgspec.convert(told, WireUsage)
    except msgspec.ValidationError:
        return None
    return wire if wire.usage() is not None else None


def _without(total: int | None, part: int | None) -> int | None:
    # Some providers report reasoning tokens beside completion_tokens instead of within them
    # (then the part may exceed the total); a negative count would be a lie.
    if total is None or part is None or part > total:
        return total
    return total - part
