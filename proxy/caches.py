"""Bounded caches: least recently used, with expiry, and memoized functions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """At most ``most`` entries; evicts the least recently used one."""

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


class ExpiringCache(Generic[K, V]):
    """At most ``most`` entries, each until its time; evicts the oldest one."""

    __slots__ = ("_found", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        # A dict would scan over removed entries to find its first one.
        self._found: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: K, now: float) -> V | None:
        found = self._found.get(key)
        if found is None:
            return None
        value, until = found
        if now < until:
            return value
        del self._found[key]
        return None

    def put(self, key: K, value: V, until: float) -> None:
        self._found[key] = (value, until)
        self._found.move_to_end(key)
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def drop(self, key: K) -> None:
        self._found.pop(key, None)


class Memo(dict[K, V]):
    """Values of ``compute``, at most ``most`` of them. A full cache is cleared: in a flood of keys none comes twice.

    In hot code, call a bound ``__getitem__``: a subscript of a subclass of dict takes three times as long.
    """

    def __init__(self, most: int = 1024) -> None:
        super().__init__()
        self.most = most

    def compute(self, key: K) -> V:
        raise NotImplementedError

    def is_cacheable(self, key: K) -> bool:
        return True

    def __missing__(self, key: K) -> V:
        value = self.compute(key)
        if self.is_cacheable(key):
            if len(self) >= self.most:
                self.clear()
            self[key] = value
        return value
