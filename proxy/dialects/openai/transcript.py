"""The text of a chat stream so far, from which another model can continue."""

from __future__ import annotations

from typing import Any, Final

from proxy.wire import document
from proxy.wire.sse import payload

MAX_TEXT: Final = 1024 * 1024  # characters
_BEYOND_TEXT: Final = ("tool_calls", "function_call", "audio", "refusal")


class Transcript:
    """``add`` every event that goes to the client."""

    __slots__ = ("_closed", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._closed = False  # it cannot be continued, or is longer than is kept

    def copy(self) -> Transcript:
        """An independent copy."""
        copy = Transcript()
        copy._pieces, copy._size, copy._closed = self._pieces.copy(), self._size, self._closed
        return copy

    @property
    def text(self) -> str:
        """The assistant's text, without lone surrogates.

        Halves of a pair that came in two events are joined, others replaced.
        """
        text = "".join(self._pieces)
        return text if text.isascii() else document.without_halves(text)

    @property
    def continuable(self) -> bool:
        """Whether the text is the whole state of the answer, and more may follow.

        Not after a finish reason, nor with several choices, tool calls, audio, or more than ``MAX_TEXT``.
        """
        return self._size > 0 and not self._closed

    def add(self, block: bytes) -> bool:
        """Add one event, with its blank line. Returns whether it only opens a message of the assistant."""
        data = payload(block)
        if not data or self._closed:
            return False
        try:
            chunk, _ = document.read(data)
        except ValueError:
            return False
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        opens = [self._note(choice) for choice in choices] if isinstance(choices, list) else []
        return bool(opens) and all(opens)

    def _note(self, choice: Any) -> bool:
        """Whether the choice has a role and no content."""
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if not isinstance(delta, dict) or choice.get("index", 0) != 0 or choice.get("finish_reason"):
            self._closed = True
            return False
        content = delta.get("content")
        if isinstance(content, str):
            self._pieces.append(content)
            self._size += len(content)
        self._closed = self._closed or self._size > MAX_TEXT or any(map(delta.get, _BEYOND_TEXT))
        return "role" in delta and not any(delta[name] for name in delta if name != "role")
