"""A bounded cache that evicts the least recently used entry."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Holds at most ``most`` entries."""

    __slots__ = ("_found", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[K, V] = {}  # least recently used first

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: K) -> V | None:
        found = self._found.pop(key, None)
        if found is not None:
            self._found[key] = found
        return found

    def put(self, key: K, value: V) -> None:
        self._found.pop(key, None)
        if len(self._found) >= self._most:
            del self._found[next(iter(self._found))]
        self._found[key] = value
