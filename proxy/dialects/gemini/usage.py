"""``usageMetadata`` of Gemini's answers and events.

``promptTokenCount`` includes what was read from a cache. ``toolUsePromptTokenCount``, ``candidatesTokenCount`` and
``thoughtsTokenCount`` are counted apart, and ``totalTokenCount`` is the sum of these four.
Source: https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from proxy.dialects.gemini.schema import ModalityCount, UsageMetadata
from proxy.dialects.reported_cost import service_tier
from proxy.dialects.usage import Usage, UsageDetails

_Counts = list[ModalityCount] | None

# Vertex AI: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse
_TRAFFIC: Final = {
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_OFFPEAK": "offpeak",
    "PROVISIONED_THROUGHPUT": "provisioned",  # paid by the hour
}


def usage_of(wire: UsageMetadata) -> Usage | None:
    """The disjoint classes; ``None``: the provider reported no count at all."""
    found = _counts(wire)
    tier = service_tier(wire.service_tier)
    if not tier and isinstance(wire.traffic_type, str):
        tier = _TRAFFIC.get(wire.traffic_type, "")
    if not tier or found is None:
        return found
    details = UsageDetails() if found.details is UNSET else found.details
    return replace(found, details=replace(details, service_tier=tier))


def _counts(wire: UsageMetadata) -> Usage | None:
    prompt, tools = wire.prompt_token_count, wire.tool_use_prompt_token_count
    output, thoughts = _generated(wire)
    if prompt is None and output is None and tools is None and thoughts is None:
        return None
    cached = wire.cached_content_token_count
    input_ = prompt
    if prompt is not None and cached and cached <= prompt:
        input_ = prompt - cached
    if tools:
        input_ = (input_ or 0) + tools
    if not (wire.prompt_tokens_details or wire.candidates_tokens_details or wire.tool_use_prompt_tokens_details):
        return Usage(input_, cached, output, thoughts)
    return _detailed(wire, input_, cached, output, thoughts)


def find(document: Any) -> Usage | None:
    """The usage of a decoded answer or event; ``None`` if it reports no count."""
    wire = find_wire(document)
    return None if wire is None else usage_of(wire)


def find_wire(document: Any) -> UsageMetadata | None:
    """The same as the provider reported it."""
    found = document.get("usageMetadata") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return None
    try:
        wire = msgspec.convert(found, UsageMetadata)
    except (msgspec.ValidationError, UnicodeEncodeError):  # half a surrogate pair instead of a count
        return None
    return wire if usage_of(wire) is not None else None


def _generated(wire: UsageMetadata) -> tuple[int | None, int | None]:
    """Tokens of the candidates and of the thoughts, disjoint."""
    output, thoughts, total = wire.candidates_token_count, wire.thoughts_token_count, wire.total_token_count
    if not thoughts or total is None:
        return output, thoughts
    others = (wire.prompt_token_count or 0) + (wire.tool_use_prompt_token_count or 0)
    if output is None:
        # A count of 0 is left out: the limit was reached while the model thought.
        return max(total - others - thoughts, 0), thoughts
    # Some versions of the API counted thoughts among the candidates' tokens; the total shows it: BerriAI/litellm#10141.
    return (output - thoughts if others + output == total and output >= thoughts else output), thoughts


def _detailed(
    wire: UsageMetadata, input_: int | None, cached: int | None, output: int | None, thoughts: int | None
) -> Usage:
    audio_input, image_input = _read(wire, "AUDIO"), _read(wire, "IMAGE")
    audio_output = _count(wire.candidates_tokens_details, "AUDIO")
    image_output = _count(wire.candidates_tokens_details, "IMAGE")
    if not (audio_input or image_input or audio_output or image_output):
        return Usage(input_, cached, output, thoughts)
    input_, audio_input = _split(input_, audio_input)
    input_, image_input = _split(input_, image_input)
    output, audio_output = _split(output, audio_output)
    output, image_output = _split(output, image_output)
    details = UsageDetails(
        audio_input=audio_input, audio_output=audio_output, image_input=image_input, image_output=image_output
    )
    return Usage(input_, cached, output, thoughts, details)


def _read(wire: UsageMetadata, modality: str) -> int | None:
    """Tokens of the input in this modality that came from no cache."""
    prompt, tools = _count(wire.prompt_tokens_details, modality), _count(wire.tool_use_prompt_tokens_details, modality)
    if prompt is None and tools is None:
        return None
    return max((prompt or 0) - (_count(wire.cache_tokens_details, modality) or 0), 0) + (tools or 0)


def _count(counts: _Counts, modality: str) -> int | None:
    found = [each.token_count or 0 for each in counts or () if each.modality == modality]
    return sum(found) if found else None


def _split(total: int | None, part: int | None) -> tuple[int | None, int | None]:
    """The rest of the total, and the part; ``None`` for a part that exceeds it."""
    if total is None or part is None or not 0 <= part <= total:
        return total, None
    return total - part, part


def usage_metadata(usage: Usage) -> dict[str, Any]:
    """``usageMetadata`` with the counts that are known. What was written to a cache belongs to the prompt."""
    summed = usage.summed()
    prompt, output, thoughts = usage.total_input, summed.output, usage.reasoning
    counts = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.cache_read or None,
        "candidatesTokenCount": output,
        "thoughtsTokenCount": thoughts or None,
        "totalTokenCount": (prompt or 0) + (output or 0) + (thoughts or 0),
    }
    details = usage.details or UsageDetails()
    found: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
    for name, total, audio, image in (
        ("promptTokensDetails", prompt, details.audio_input, details.image_input),
        ("candidatesTokensDetails", output, details.audio_output, details.image_output),
    ):
        if total is not None and (audio or image):
            modalities = {"TEXT": total - (audio or 0) - (image or 0), "AUDIO": audio, "IMAGE": image}
            found[name] = [{"modality": each, "tokenCount": count} for each, count in modalities.items() if count]
    return found
