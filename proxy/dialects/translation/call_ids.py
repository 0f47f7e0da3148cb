"""Ids of tool calls in one request: each call has its own, and its result the same."""

from __future__ import annotations

from collections import deque

from proxy.dialects.translation.tool_ids import MOST, safe_id


class CallIds:
    """Some providers and clients begin again with ``call_0`` in each turn.

    Anthropic and the Responses API refuse an id that repeats, and Gemini finds the call of a result by its id.
    """

    __slots__ = ("_numbers", "_open", "_used")

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # of the last call with an id that repeats
        self._open: dict[str, deque[str]] = {}  # ids of calls without a result, by the client's
        self._used: set[str] = set()

    def of_call(self, call_id: str) -> str:
        """The id to send for a call."""
        own = sent = safe_id(call_id)
        while sent in self._used:
            self._numbers[own] = number = self._numbers.get(own, 1) + 1
            ending = f"_{number}"
            sent = own[: MOST - len(ending)] + ending
        self._used.add(sent)
        self._open.setdefault(call_id, deque()).append(sent)
        return sent

    def of_result(self, call_id: str) -> str:
        """The id to send for the result of the first open call that has the client's id."""
        waiting = self._open.get(call_id)
        return waiting.popleft() if waiting else safe_id(call_id)
