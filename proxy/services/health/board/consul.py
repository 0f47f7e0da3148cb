"""Results of checks in Consul's KV store: a key for each address, and one that every publication changes.

Consul has no clock that a client can read, so ages are by the clocks of the machines. They are expected to agree within
seconds: a result counts for a minute at least.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from math import inf
from typing import Final

import msgspec

from proxy.consul.client import ConsulClient
from proxy.consul.keys import MOST_OPERATIONS, KeyEntry, entries_of, operation, path_of, transact
from proxy.services.health.board.base import KEEP_SECS, PORTION, SharedResult

TRIM_SECS: Final = 3600.0

_Published = tuple[float, SharedResult]  # in Unix seconds, when

_encode: Final = msgspec.json.Encoder().encode
_PUBLISHED: Final = msgspec.json.Decoder(_Published)


class ConsulBoard:
    """Its methods raise ConsulUnavailable. ``prefix``: of all keys. ``now``: Unix seconds.

    A look at the board reads one small key, and all results if it has changed: 0.5 KB for each address.
    """

    def __init__(self, client: ConsulClient, prefix: str, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now
        self._keys = f"{path_of(prefix)}/health/"
        self._latest = f"{self._keys}latest"
        self._read = 0  # index of the last publication that was read
        self._unread: deque[KeyEntry] = deque()
        self._trimmed_at = -inf

    async def publish(self, results: Sequence[SharedResult]) -> None:
        now = self._now()
        sets = [operation("set", self._key(each), _encode((now, each))) for each in results]
        for first in range(0, len(sets), MOST_OPERATIONS - 1):
            some = sets[first : first + MOST_OPERATIONS - 1]
            mark = secrets.token_hex(8).encode()  # a value that stays the same does not change the key
            await transact(self._client, [*some, operation("set", self._latest, mark)])
        if results and now >= self._trimmed_at + TRIM_SECS:
            await self._trim(now)
            self._trimmed_at = now

    async def read(self) -> list[SharedResult]:
        if not self._unread:
            latest = entries_of(await self._client.get(f"kv/{self._latest}"))
            if not latest or latest[0].modify_index == self._read:
                return []
            await self._look()
        portion = [self._unread.popleft() for _ in range(min(PORTION, len(self._unread)))]
        now = self._now()
        return [msgspec.structs.replace(each, age=max(0.0, now - at)) for _, at, each in _decoded(portion)]

    async def _look(self) -> None:
        """Find what has changed since the last look. After a restore of older indexes that is all."""
        found = await self._all()
        latest = max((each.modify_index for each in found), default=0)
        since = self._read if latest > self._read else 0
        new = (each for each in found if each.modify_index > since and each.key != self._latest)
        self._unread.extend(sorted(new, key=lambda each: each.modify_index))
        self._read = next((each.modify_index for each in found if each.key == self._latest), 0)

    async def _trim(self, now: float) -> None:
        """Remove the results of addresses that nobody has checked for ``KEEP_SECS``."""
        found = await self._all()
        old = [each for each, at, _ in _decoded(found) if at < now - KEEP_SECS]
        for first in range(0, len(old), MOST_OPERATIONS):
            some = old[first : first + MOST_OPERATIONS]
            await transact(self._client, [operation("delete-cas", each.key, index=each.modify_index) for each in some])

    async def _all(self) -> list[KeyEntry]:
        return entries_of(await self._client.get(f"kv/{self._keys}", {"recurse": ""}))

    def _key(self, result: SharedResult) -> str:
        """A key has at most 512 bytes, and a URL may have more."""
        digest = sha256(f"{result.service}\n{result.url}".encode()).hexdigest()
        return f"{self._keys}{digest[:32]}"


def _decoded(entries: Sequence[KeyEntry]) -> Iterator[tuple[KeyEntry, float, SharedResult]]:
    """Without those that are malformed, or of a later version."""
    for each in entries:
        try:
            at, result = _PUBLISHED.decode(each.content)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        yield each, at, result
