"""``anthropic.messages`` on the wire: the stream's reader, and whole answers.

Source: https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from proxy.dialects import json_answer, provider_error
from proxy.dialects.anthropic.schema import NULL, MessageUsage, decode_delta, decode_message
from proxy.dialects.anthropic.usage import find, find_wire, merged, usage_of
from proxy.dialects.base import AnswerInfo, EventKind
from proxy.dialects.json_events import JsonEventReader
from proxy.dialects.provider_error import ProviderError
from proxy.dialects.usage import Usage
from proxy.wire.document import is_utf8
from proxy.wire.sse import CR, LF

_PLAIN: Final = b"event: content_block_delta\ndata: "
_BEGIN: Final = len(_PLAIN)

# Parts that have content only where a member beside ``type`` has. All others are content.
_MAY_BE_EMPTY: Final = frozenset(
    ("text", "thinking", "text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta")
)


class MessagesReader(JsonEventReader):
    """Reads ``message_start`` to ``message_stop``.

    Complete after a stop reason, whichever it is (``pause_turn`` and ``refusal``, too), or after ``message_stop``.
    """

    __slots__ = ("_counts",)

    ends_with_done = False

    def __init__(self, choices: int = 1, hide_usage: bool = False, wants_usage: bool = False) -> None:
        super().__init__(choices, hide_usage, wants_usage)
        self._counts: MessageUsage | None = None

    @property
    def usage(self) -> Usage | None:
        return usage_of(self._counts) if self._counts else None

    # Once per token: as in ``ChatReader.plain``.
    def plain(self, block: bytes) -> bool:
        data = block[_BEGIN:-2]
        if (
            block[:_BEGIN] != _PLAIN
            or block[-2:] != b"\n\n"
            or LF in data
            or CR in data
            or not (data.isascii() or is_utf8(data))
        ):
            return False
        try:
            return not decode_delta(data).error
        except (msgspec.DecodeError, RecursionError):
            return False

    @staticmethod
    def read_answer(body: bytes) -> AnswerInfo:
        """Read a message, or a count of tokens, which has no usage: counting is free."""
        if not (body.isascii() or is_utf8(body)):
            return json_answer.read(body, find)
        try:
            answer = decode_message(body)
        except (msgspec.DecodeError, RecursionError):
            return json_answer.read(body, find)
        if answer.error is not NULL and answer.error != NULL:
            return json_answer.read(body, find)
        usage = answer.usage
        return AnswerInfo(answer.model or "", None if usage is None else usage_of(usage))

    def _understand(self, event: Any, name: bytes | None) -> EventKind:
        error = provider_error.find(event)
        if error is not None or name == b"error":
            return self._failed(event, error)
        if not isinstance(event, dict):
            return EventKind.CONTENT
        kind = event.get("type")
        if not isinstance(kind, str):
            kind = (name or b"").decode("utf-8", "replace")
        match kind:
            case "message_start":
                return self._started(event.get("message"))
            case "content_block_start":
                return self._opened(event.get("content_block"))
            case "content_block_delta":
                return _kind_of_part(event.get("delta"))
            case "content_block_stop" | "ping":
                return EventKind.PRELIMINARY
            case "message_delta":
                return self._stopping(event)
            case "message_stop":
                self.complete = self.ended = True
                return EventKind.DONE
            case "error":
                return self._failed(event, None)
        return EventKind.CONTENT

    def _started(self, message: Any) -> EventKind:
        if not isinstance(message, dict):
            return EventKind.PRELIMINARY
        model = message.get("model")
        if isinstance(model, str):
            self.response_model = model
        self._note_usage(message)
        return EventKind.CONTENT if message.get("content") else EventKind.PRELIMINARY

    def _opened(self, block: Any) -> EventKind:
        """A block of the type ``fallback`` names the model that continues the answer (beta server-side-fallback)."""
        successor = block.get("to") if isinstance(block, dict) and block.get("type") == "fallback" else None
        if isinstance(successor, dict) and isinstance(successor.get("model"), str):
            self.response_model = successor["model"]
        return _kind_of_part(block)

    def _stopping(self, event: dict[str, Any]) -> EventKind:
        """An answer with a stop reason may be empty: the model had nothing to say after the result of a tool."""
        self._note_usage(event)
        delta = event.get("delta")
        if not isinstance(delta, dict) or not delta.get("stop_reason"):
            return EventKind.PRELIMINARY
        self.complete = True
        return EventKind.CONTENT

    def _note_usage(self, holder: dict[str, Any]) -> None:
        wire = find_wire(holder)
        if wire is not None:
            self._counts = merged(self._counts, wire)

    def _failed(self, event: Any, error: ProviderError | None) -> EventKind:
        self.error = error or provider_error.find({"error": event}) or ProviderError("The provider reported an error.")
        return EventKind.ERROR


def _kind_of_part(part: Any) -> EventKind:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in _MAY_BE_EMPTY:
        has_content = any(value for name, value in part.items() if name != "type")
        return EventKind.CONTENT if has_content else EventKind.PRELIMINARY
    return EventKind.CONTENT
