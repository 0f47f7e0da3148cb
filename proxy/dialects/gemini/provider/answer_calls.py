"""The tool calls of one answer: whole ones, and those whose arguments Vertex AI sends in pieces.

A call in pieces begins with its name and ``willContinue``. It ends with a fragment without that, often an empty one,
with the next call, or with the answer. Source: google-genai 3.6 (``FunctionCall``)
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.dialects.gemini.provider.partial_arguments import PartialArguments
from proxy.dialects.translation.answer_members import objects_at, text_at
from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import AnswerPart, CallDelta, CallEnd, CallStart, Dropped
from proxy.wire import document


class GeminiCalls:
    """Reads the calls of one answer. They are numbered in the order in which they begin."""

    __slots__ = ("_arguments", "_count", "_pieces")

    def __init__(self) -> None:
        self._count = 0
        self._arguments = ""  # whole ones, of the call that continues
        self._pieces: PartialArguments | None = None  # of the same call; None: there is none

    @property
    def any(self) -> bool:
        """Whether a call has begun."""
        return self._count > 0

    @property
    def continues(self) -> bool:
        """Whether more of the last call may come."""
        return self._pieces is not None

    def read(self, call: JsonObject, signature: str) -> Iterator[AnswerPart]:
        """The parts for a ``functionCall``, and the signature of its part."""
        name = text_at(call, "name")
        if name:
            yield from self.end()
            blob = Blob(signature) if signature else None
            yield CallStart(self._count, text_at(call, "id"), name, blob=blob)
            self._count += 1
            self._arguments, self._pieces = "", PartialArguments()
        elif signature:
            yield Dropped("functionCall.thoughtSignature")  # too late: the call has begun without it
        pieces = self._pieces
        if pieces is None:
            return
        if isinstance(call.get("args"), dict):
            self._arguments = _text(call["args"])
        for piece in objects_at(call, "partialArgs"):
            pieces.add(piece)
        if call.get("willContinue") is not True:
            yield from self.end()

    def end(self) -> Iterator[AnswerPart]:
        """The end of the call that continues, if there is one."""
        pieces, self._pieces = self._pieces, None
        if pieces is None:
            return
        text = pieces.json() or self._arguments
        if text:
            yield CallDelta(self._count - 1, text)
        yield CallEnd(self._count - 1)


def _text(arguments: JsonObject) -> str:
    try:
        return document.encode(arguments).decode()
    except RecursionError:
        return ""
