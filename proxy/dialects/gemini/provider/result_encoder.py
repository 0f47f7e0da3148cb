"""Results of tools, as the Gemini API has them: an object, and from Gemini 3 on images and files beside it.

Source: https://ai.google.dev/gemini-api/docs/function-calling, and google-genai 3.6 (``FunctionResponse``)
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.gemini.provider.part_encoder import GeminiPartEncoder
from proxy.dialects.translation.conversation import Audio, ToolResult
from proxy.dialects.translation.members import JsonObject

_SEPARATOR: Final = "\n\n"
_FOLLOWS: Final = "(The output follows.)"
_FAILED: Final = "The tool failed without a message."


class EncodedFunctionResponse(Struct):
    """``moved``: content that a result cannot have, for the turn of the user that the result is in."""

    part: JsonObject
    moved: list[JsonObject] = []


class FunctionResponseEncoder:
    """Encodes the tool results of one request."""

    __slots__ = ("_content", "_encoding")

    def __init__(self, encoding: GeminiEncoding) -> None:
        self._encoding = encoding
        self._content = GeminiPartEncoder(encoding, encoding.client.result)

    def result(self, result: ToolResult, call_id: str, name: str) -> EncodedFunctionResponse:
        """Raises Untranslatable for content that the API lacks."""
        if result.cache is not None:
            self._encoding.losses.drop(self._encoding.client.cache_result)
        texts: list[str] = []
        media: list[JsonObject] = []
        moved: list[JsonObject] = []
        for part in result.content:
            takes = self._encoding.facts.media_in_results and not isinstance(part, Audio)
            for encoded in self._content.parts([part]):
                if "text" in encoded:
                    texts.append(encoded["text"])
                else:
                    (media if takes else moved).append(encoded)
        output = _SEPARATOR.join(texts)
        if result.is_error:
            response = {"error": output or _FAILED}
        else:
            response = {"output": output or (_FOLLOWS if moved else "")}
        found: JsonObject = {"id": call_id, "name": name, "response": response}
        if media:
            found["parts"] = media
        if moved:
            moved.insert(0, {"text": f"Output of the tool call {call_id}:"})
        return EncodedFunctionResponse({"functionResponse": found}, moved)
