"""What the headers of a request mean for the cache. Clients send the same ones again and again, so it is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import itemgetter
from typing import Final, TypeAlias

from msgspec import Struct
from multidict import CIMultiDict

from proxy.cache.directives import CACHE_CONTROL, HEADER, TAGS, Directives, directives_of, tags_of
from proxy.cache.key import CountedHeaders, counted
from proxy.caches import Memo

Lines: TypeAlias = tuple[tuple[bytes, bytes], ...]

_DIRECTIVES: Final = frozenset(str(name).lower().encode() for name in (HEADER, TAGS, CACHE_CONTROL))
_LONGEST: Final = 1024  # bytes of the headers of a request that are remembered
_name = itemgetter(0)


class CacheHeaders(Struct, frozen=True):
    """``lines``: those of ``counted``."""

    directives: Directives
    tags: tuple[str, ...]
    lines: Sequence[bytes]


class HeaderReader:
    """Reads the headers of requests. ``forwarded``: lower-case names of those that some provider gets as they are."""

    def __init__(self, forwarded: frozenset[bytes]) -> None:
        counted_headers = CountedHeaders(forwarded)
        self._selectors = _Selectors(counted_headers).__getitem__
        self._meaning = _ReadHeaders(counted_headers).__getitem__

    def read(self, headers: Lines) -> CacheHeaders:
        """Raises ClientFault."""
        return self._meaning(tuple(compress(headers, self._selectors(tuple(map(_name, headers))))))


class _Selectors(Memo[tuple[bytes, ...], tuple[bool, ...]]):
    """Which headers say anything to the cache, by the names of all headers of a request."""

    def __init__(self, counted_headers: CountedHeaders) -> None:
        super().__init__()
        self._counted_headers = counted_headers

    def compute(self, key: tuple[bytes, ...]) -> tuple[bool, ...]:
        find = self._counted_headers.__getitem__
        return tuple([bool(find(name)) or name.lower() in _DIRECTIVES for name in key])

    def is_cacheable(self, key: tuple[bytes, ...]) -> bool:
        return sum(map(len, key)) <= _LONGEST


class _ReadHeaders(Memo[Lines, CacheHeaders]):
    """By the headers that say anything."""

    def __init__(self, counted_headers: CountedHeaders) -> None:
        super().__init__()
        self._counted_headers = counted_headers

    def compute(self, key: Lines) -> CacheHeaders:
        headers = CIMultiDict(
            [(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in key]
        )
        return CacheHeaders(directives_of(headers), tags_of(headers), counted(key, self._counted_headers))

    def is_cacheable(self, key: Lines) -> bool:
        return sum(len(name) + len(value) for name, value in key) <= _LONGEST
