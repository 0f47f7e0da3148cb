"""Entries in the memory of this process, where there is no database: they are gone when it ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from proxy.services.entries import Entries, EntryKey, RoutingEntry
from proxy.services.store.base import EntriesChanged, EntryChange, RoutingChange

MOST_CHANGES: Final = 1000  # that are remembered


class MemoryEntries:
    """``now``: Unix seconds."""

    durable: Final = False

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._version = 0
        self._entries: dict[EntryKey, RoutingEntry] = {}
        self._changes: deque[RoutingChange] = deque(maxlen=MOST_CHANGES)

    async def load(self) -> Entries:
        return Entries(self._version, dict(sorted(self._entries.items())))

    async def version(self, known: int) -> int:
        return self._version

    async def put(self, changes: Sequence[EntryChange], by: str, expected: int) -> int:
        if expected != self._version:
            raise EntriesChanged
        at = self._now()
        for each in changes:
            key = each.kind, each.name
            before = self._entries.pop(key, None)
            if before is None and each.body is None:
                continue
            self._version += 1
            if each.body is not None:
                self._entries[key] = RoutingEntry(*key, each.body, self._version, at, by)
            body = None if before is None else before.body
            self._changes.appendleft(RoutingChange(self._version, *key, body, each.body, at, by))
        return self._version

    async def changes(self, limit: int, before: int = 0) -> Sequence[RoutingChange]:
        return [each for each in self._changes if not before or each.version < before][:limit]
