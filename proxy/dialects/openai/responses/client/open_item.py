"""An item of the output that is being written, and the events about it.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from proxy.dialects.openai.responses.client.events import ResponseEvents
from proxy.dialects.openai.responses.client.items import Item, ResponseItems
from proxy.wire import document


class OpenItem(ABC):
    """``index``: in the output. ``done``: the item as JSON, once it is complete."""

    __slots__ = ("_events", "_items", "done", "index")

    def __init__(self, events: ResponseEvents, items: ResponseItems, index: int) -> None:
        self._events = events
        self._items = items
        self.index = index
        self.done = b""

    @abstractmethod
    def begin(self) -> bytes:
        """The events before the first content."""

    @abstractmethod
    def end(self, *, cut: bool = False) -> bytes:
        """The last events. ``cut``: the answer ended before its end."""

    def _added(self, item: Item) -> bytes:
        return self._events.make("response.output_item.added", {"output_index": self.index, "item": item})

    def _complete(self, item: Item) -> bytes:
        self.done = document.encode(item)
        return self._events.make(
            "response.output_item.done", {"output_index": self.index, "item": msgspec.Raw(self.done)}
        )

    def _place(self, item_id: str, **more: Any) -> dict[str, Any]:
        """Where the content of an event stands."""
        return {"item_id": item_id, "output_index": self.index, **more}
