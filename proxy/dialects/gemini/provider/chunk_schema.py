"""An event of a stream that holds nothing but a piece of text or of thoughts: structs without logic.

Members that must be absent are named here: any value of theirs fails the decoding, and the event is read with all its
members (``answer_decoder.py``).
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from proxy.dialects.gemini.schema import ABSENT


class PlainPart(Struct, gc=False, rename="camel"):
    text: str
    thought: bool = False
    thought_signature: None = None
    function_call: None = None
    function_response: None = None
    inline_data: None = None
    file_data: None = None
    executable_code: None = None
    code_execution_result: None = None
    tool_call: None = None
    tool_response: None = None
    audio_transcription: None = None


class PlainContent(Struct, gc=False):
    parts: list[PlainPart]


class PlainCandidate(Struct, gc=False, rename="camel"):
    content: PlainContent
    index: int = 0
    finish_reason: str | None = None
    citation_metadata: None = None
    grounding_metadata: None = None
    url_context_metadata: None = None
    logprobs_result: None = None
    continuation_token: None = None


class PlainGeminiChunk(Struct, gc=False, rename="camel"):
    candidates: list[PlainCandidate]
    usage_metadata: Raw = ABSENT
    error: None = None


decode_plain: Final = Decoder(PlainGeminiChunk).decode
