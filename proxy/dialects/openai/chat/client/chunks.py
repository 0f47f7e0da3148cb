"""The chunks of a chat stream.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from proxy.dialects.openai.chat.client.completion_members import completion_id, usage_members
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.usage import Usage
from proxy.wire.document import encode


class ChatChunks:
    """Frames the chunks of one stream. What they have in common is encoded once.

    A chunk of content is ``head``, its delta, and ``tail``. If the client requested the usage, all chunks but the one
    with it have ``"usage": null``.
    """

    __slots__ = ("_begin", "_end", "_index", "head", "tail")

    def __init__(self, context: AnswerContext, model: str) -> None:
        same = {
            "id": completion_id(context),
            "object": "chat.completion.chunk",
            "created": context.created,
            "model": model,
        }
        self._begin = b"data: " + encode(same)[:-1] + b',"choices":['
        self._end = b'],"usage":null}\n\n' if context.request.wants_usage else b"]}\n\n"
        self._index = context.choice
        self.head = b'%b{"index":%d,"delta":' % (self._begin, self._index)
        self.tail = b',"finish_reason":null}' + self._end

    def delta(self, delta: JsonObject) -> bytes:
        """A chunk of any content."""
        return self.head + encode(delta) + self.tail

    def choice(self, delta: JsonObject, others: JsonObject) -> bytes:
        """A chunk with more than a delta, such as a finish reason."""
        return self._begin + encode({"index": self._index, "delta": delta, "finish_reason": None} | others) + self._end

    def usage(self, usage: Usage) -> bytes:
        """The chunk without choices that reports the usage."""
        return b'%b],"usage":%b}\n\n' % (self._begin, encode(usage_members(usage)))
