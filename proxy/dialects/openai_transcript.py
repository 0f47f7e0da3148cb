"""What a chat stream has said so far, in case somebody else has to go on from there."""

from __future__ import annotations

from typing import Any

from proxy.wire import document
from proxy.wire.sse import payload

MAX_TEXT = 1024 * 1024  # characters
_BEYOND_TEXT = ("tool_calls", "function_call", "audio", "refusal")


class Transcript:
    """``hear`` every event that goes to the client; ``text`` is what the assistant said."""

    __slots__ = ("_more", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._more = False  # than text was said, or more of it than is kept, or all

    def copy(self) -> Transcript:
        """One that goes on from here on its own."""
        copy = Transcript()
        copy._pieces, copy._size, copy._more = self._pieces.copy(), self._size, self._more
        return copy

    @property
    def text(self) -> str:
        """Without lone surrogates: halves of a pair that came in two events are joined, others replaced."""
        text = "".join(self._pieces)
        return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    @property
    def continuable(self) -> bool:
        """Whether the text tells the whole state, and more of it may follow.

        Not so after a finish reason, and where there are several choices, tool calls, audio or too much of it all.
        """
        return self._size > 0 and not self._more

    def hear(self, block: bytes) -> bool:
        """One event, its blank line included. Whether all it says is that an assistant begins to speak."""
        data = payload(block)
        if not data or self._more:
            return False
        try:
            chunk, _ = document.read(data)
        except ValueError:
            return False
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        opens = [self._note(choice) for choice in choices] if isinstance(choices, list) else []
        return bool(opens) and all(opens)

    def _note(self, choice: Any) -> bool:
        """Whether a role is all that is in it."""
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if not isinstance(delta, dict) or choice.get("index", 0) != 0 or choice.get("finish_reason"):
            self._more = True
            return False
        content = delta.get("content")
        if isinstance(content, str):
            self._pieces.append(content)
            self._size += len(content)
        self._more = self._more or self._size > MAX_TEXT or any(map(delta.get, _BEYOND_TEXT))
        return "role" in delta and not any(delta[name] for name in delta if name != "role")
