"""What is decoded of the JSON of the Gemini API: structs and their decoders, without logic.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

NULL: Final = Raw(b"null")
ABSENT: Final = Raw(b"")


class ModalityCount(Struct, gc=False, rename="camel"):
    """Tokens of one modality: ``TEXT``, ``IMAGE``, ``VIDEO``, ``AUDIO``, ``DOCUMENT``."""

    modality: str = ""
    token_count: int | None = None


class UsageMetadata(Struct, gc=False, rename="camel"):
    """``usageMetadata`` of an answer or event. In a stream each one replaces those before it."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    tool_use_prompt_tokens_details: list[ModalityCount] | None = None
    service_tier: Any = None
    traffic_type: Any = None


class ChunkCandidate(Struct, gc=False, rename={"finish_reason": "finishReason"}):
    finish_reason: str | None = None


class GeminiChunk(Struct, gc=False, rename={"usage_metadata": "usageMetadata"}):
    """An event of a stream, as far as ``GeminiReader.plain`` needs it."""

    candidates: list[ChunkCandidate] = []
    usage_metadata: Raw = ABSENT
    error: Raw = ABSENT


class GeminiAnswer(Struct, gc=False, rename="camel"):
    """A JSON answer, as far as ``GeminiReader.read_answer`` needs it."""

    model_version: str | None = None
    usage_metadata: UsageMetadata | None = None
    error: Raw = NULL


def _spelled(name: str) -> str:
    """camelCase, or snake_case for a field whose name ends with an underscore."""
    first, *rest = name.removesuffix("_").split("_")
    return name.removesuffix("_") if name.endswith("_") else first + "".join(map(str.capitalize, rest))


class GenerationLimits(Struct, gc=False, rename=_spelled):
    """``generationConfig`` of a request, as far as it bounds the answer. Numbers may be strings."""

    candidate_count: Raw = ABSENT
    candidate_count_: Raw = ABSENT
    max_output_tokens: Raw = ABSENT
    max_output_tokens_: Raw = ABSENT


class GeminiBlob(Struct, gc=False, rename=_spelled):
    """``inlineData`` or ``fileData``; ``data`` is base64."""

    mime_type: str | None = None
    mime_type_: str | None = None
    data: Raw = ABSENT


class FunctionResult(Struct, gc=False):
    """``functionResponse``. Images of a result stand in its parts."""

    name: str = ""
    response: Raw = ABSENT
    parts: list[GeminiPart] | None = None


class GeminiPart(Struct, gc=False, rename=_spelled):
    """A part of a request's content, as far as it has tokens."""

    text: str | None = None
    inline_data: GeminiBlob | None = None
    inline_data_: GeminiBlob | None = None
    file_data: GeminiBlob | None = None
    file_data_: GeminiBlob | None = None
    function_call: Raw = ABSENT
    function_call_: Raw = ABSENT
    function_response: FunctionResult | None = None
    function_response_: FunctionResult | None = None
    executable_code: Raw = ABSENT
    executable_code_: Raw = ABSENT
    code_execution_result: Raw = ABSENT
    code_execution_result_: Raw = ABSENT
    tool_call: Raw = ABSENT
    tool_call_: Raw = ABSENT
    tool_response: Raw = ABSENT
    tool_response_: Raw = ABSENT


class GeminiContent(Struct, gc=False, rename=_spelled):
    """A content, or one of the requests of ``batchEmbedContents``, which has a content."""

    parts: list[GeminiPart] | None = None
    content: GeminiContent | None = None


decode_chunk: Final = Decoder(GeminiChunk).decode
decode_answer: Final = Decoder(GeminiAnswer).decode
decode_usage: Final = Decoder(UsageMetadata).decode
decode_limits: Final = Decoder(GenerationLimits).decode
decode_contents: Final = Decoder(list[GeminiContent]).decode
