"""A tool call that is being written."""

from __future__ import annotations

from io import StringIO
from typing import Final

from proxy.dialects.openai.responses.client.built_in_tools import BuiltInTool
from proxy.dialects.openai.responses.client.events import GrowingText, ResponseEvents
from proxy.dialects.openai.responses.client.items import Item, ResponseItems
from proxy.dialects.openai.responses.client.open_item import OpenItem
from proxy.dialects.translation.parts import CallStart

# Events about the arguments, and the member of the last one that has them all.
_ARGUMENTS: Final = {
    "function": ("response.function_call_arguments", "arguments"),
    "custom": ("response.custom_tool_call_input", "input"),
}


class OpenCall(OpenItem):
    """A call of a function or a custom tool."""

    __slots__ = ("_place_of_text", "_start", "_text")

    def __init__(self, events: ResponseEvents, items: ResponseItems, index: int, start: CallStart) -> None:
        super().__init__(events, items, index)
        self._start = start
        self._place_of_text = self._place(self._item()["id"])
        self._text = GrowingText(events, f"{_ARGUMENTS[start.kind][0]}.delta", self._place_of_text)

    def begin(self) -> bytes:
        member = _ARGUMENTS[self._start.kind][1]
        return self._added(self._item() | {"status": "in_progress", member: ""})

    def add(self, text: str) -> bytes:
        """Called once per token."""
        return self._text.add(text)

    def end(self, *, cut: bool = False) -> bytes:
        is_function, events = self._start.kind == "function", b""
        if is_function and not self._text:
            events = self.add("{}")
        text, kept = self._text.end()
        kind, member = _ARGUMENTS[self._start.kind]
        done = {**self._place_of_text, member: text} | ({"name": self._start.name} if is_function else {})
        return events + kept + self._events.make(f"{kind}.done", done) + self._complete(self._item(text))

    def _item(self, text: str = "") -> Item:
        start = self._start
        return self._items.call(self.index, start.id, start.name, start.kind, start.namespace, text)


class OpenBuiltInCall(OpenItem):
    """A call of a tool of OpenAI's, whose arguments must be complete before its type of item is known."""

    __slots__ = ("_start", "_text", "_tool")

    def __init__(
        self, events: ResponseEvents, items: ResponseItems, index: int, start: CallStart, tool: BuiltInTool
    ) -> None:
        super().__init__(events, items, index)
        self._start = start
        self._tool = tool
        self._text = StringIO()

    def begin(self) -> bytes:
        return b""

    def add(self, text: str) -> bytes:
        self._text.write(text)
        return b""

    def end(self, *, cut: bool = False) -> bytes:
        item = self._items.built_in_call(self.index, self._start.id, self._tool, self._text.getvalue())
        return self._added(item | {"status": "in_progress"}) + self._complete(item)
