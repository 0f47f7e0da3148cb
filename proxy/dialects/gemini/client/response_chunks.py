"""Responses of ``generateContent``, whole or as the chunks of a stream, without what is in them.

Google's typed clients refuse unknown members. They take a chunk without content for a failure, so that a chat with it
is lost: ``_validate_response`` of google-genai 3.6, and ``isValidResponse`` of @google/genai 3.3.
Source: https://ai.google.dev/api/generate-content#GenerateContentResponse
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.members import JsonObject
from proxy.wire.document import encode

EMPTY: Final[JsonObject] = {"text": ""}  # a part that says nothing


class ResponseChunks:
    """Frames the chunks of one stream.

    A chunk of one part is ``head``, the JSON of the part, and ``tail``. ``model``: the provider's.
    """

    __slots__ = ("_index", "_same", "head", "tail")

    def __init__(self, context: AnswerContext, model: str) -> None:
        self._index = context.choice
        self._same = _same(context, model)
        self.head = b'data: {"candidates":[{"content":{"parts":['
        self.tail = b'],"role":"model"},"index":%d}],%b\n\n' % (self._index, encode(self._same)[1:])

    def part(self, part: JsonObject) -> bytes:
        """A chunk of one part."""
        return self.head + encode(part) + self.tail

    def chunk(self, candidate: JsonObject, others: JsonObject) -> bytes:
        """A chunk with more members: of the candidate, and beside it."""
        return b"data: %b\n\n" % encode(
            {"candidates": [candidate_of(self._index, [EMPTY], candidate)], **others, **self._same}
        )


def function_call(call_id: str, name: str, arguments: JsonObject) -> JsonObject:
    """The part for a call."""
    return {"functionCall": {"id": call_id, "name": name, "args": arguments}}


def signed(part: JsonObject, signature: str) -> JsonObject:
    """The part with its signature; the part itself if there is none."""
    return part | {"thoughtSignature": signature} if signature else part


def candidate_of(index: int, parts: list[JsonObject], others: JsonObject) -> JsonObject:
    """A candidate with these parts, and other members."""
    return {"content": {"parts": parts or [EMPTY], "role": "model"}, "index": index} | others


def whole(context: AnswerContext, model: str, candidates: list[JsonObject], others: JsonObject) -> bytes:
    """A whole response, with these members beside the candidates."""
    return encode({"candidates": candidates, **others, **_same(context, model)})


def _same(context: AnswerContext, model: str) -> JsonObject:
    """What all chunks of an answer have."""
    return {"modelVersion": context.model or model, "responseId": context.id}
