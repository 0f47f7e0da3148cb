"""Entries in Consul's KV store: all replicas that use it have the same ones.

Below ``prefix/routing/`` is a key for each entry and one for the version of all, so one read has a whole set. A change
is one transaction, which also checks that version. Below ``prefix/changes/`` is what was changed, by version.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from proxy.consul.client import ConsulClient, ConsulReply, ConsulUnavailable
from proxy.consul.keys import MOST_OPERATIONS, MOST_VALUE, KeyEntry, entries_of, key_name, operation, path_of, transact
from proxy.consul.watching import ConsulQuery
from proxy.services.entries import Entries, EntryKey, RoutingEntry
from proxy.services.store.base import EntriesChanged, EntriesDown, EntryChange, RoutingChange

# Of a query for the version. After a restore of older indexes one that was just sent waits so long in vain.
WAIT_SECS: Final = 15.0
MOST_CHANGES: Final = 1000  # transactions that are remembered
MOST_AT_ONCE: Final = MOST_OPERATIONS - 2  # changes of one transaction
_PRUNED: Final = 60  # keys that one transaction removes


class _Version(Struct, frozen=True):
    version: int


class _Changed(Struct, frozen=True):
    """One transaction. ``mark``: tells it from another one with the same versions."""

    mark: str
    changes: list[RoutingChange]


T = TypeVar("T")

_ENTRY: Final = msgspec.json.Decoder(RoutingEntry)
_VERSION: Final = msgspec.json.Decoder(_Version)
_CHANGED: Final = msgspec.json.Decoder(_Changed)


class _Found(Struct, frozen=True):
    """``index``: of the key with the version; 0: there is none."""

    entries: Entries
    index: int


class ConsulEntries:
    """``prefix``: of all keys. ``now``: Unix seconds."""

    durable: Final = True

    def __init__(self, client: ConsulClient, prefix: str, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now
        base = path_of(prefix)
        self._routing = f"{base}/routing/"
        self._changes = f"{base}/changes/"
        self._version = f"{self._routing}version"
        self._query = ConsulQuery(client, f"kv/{self._version}", {}, stale=False)
        self._seen = 0  # the version that the query answered last

    def __repr__(self) -> str:
        return f"<ConsulEntries {self._routing}>"

    async def load(self) -> Entries:
        return (await self._load()).entries

    async def version(self, known: int) -> int:
        try:
            # Only what was answered last can be waited for.
            reply = await self._query.ask(WAIT_SECS if self._seen == known else 0.0)
            self._seen = _version_of(entries_of(reply))
        except ConsulUnavailable as error:
            raise EntriesDown(str(error)) from None
        return self._seen

    async def put(self, changes: Sequence[EntryChange], by: str, expected: int) -> int:
        """At most 62 changes at once, as a transaction of Consul has at most 64 operations. Raises ValueError."""
        found = await self._load()
        if found.entries.version != expected:
            raise EntriesChanged
        version = expected
        at = self._now()
        made: list[RoutingChange] = []
        operations: list[dict[str, Any]] = []
        for each in changes:
            before = found.entries.get(each.kind, each.name)
            if before is None and each.body is None:
                continue
            version += 1
            key = self._key((each.kind, each.name))
            if each.body is None:
                operations.append(operation("delete", key))
            else:
                entry = RoutingEntry(each.kind, each.name, each.body, version, at, by)
                operations.append(operation("set", key, _encoded(entry)))
            old = None if before is None else before.body
            made.append(RoutingChange(version, each.kind, each.name, old, each.body, at, by))
        if not made:
            return version
        if len(made) > MOST_AT_ONCE:
            raise ValueError(f"Consul takes at most {MOST_AT_ONCE} changes at once, not {len(made)}")
        mark = secrets.token_hex(8)
        note = f"{self._changes}{made[0].version:016d}"
        operations = [
            operation("cas", self._version, _encoded(_Version(version)), found.index),
            *operations,
            operation("set", note, _encoded(_Changed(mark, made))),
        ]
        try:
            if not await transact(self._client, operations) and not await self._is_ours(note, mark):
                raise EntriesChanged
            if version // MOST_CHANGES != expected // MOST_CHANGES:
                await self._prune()
        except ConsulUnavailable as error:
            raise EntriesDown(str(error)) from None
        return version

    async def changes(self, limit: int, before: int = 0) -> Sequence[RoutingChange]:
        """Reads only the transactions that it needs, each of at least one change."""
        found: list[RoutingChange] = []
        try:
            for key in reversed(await self._notes()):
                if len(found) >= limit:
                    break
                if before and int(key.rpartition("/")[2]) >= before:
                    continue
                noted = _decoded(_CHANGED, entries_of(await self._client.get(f"kv/{key}")))
                found += (each for one in noted for each in reversed(one.changes))
        except ConsulUnavailable as error:
            raise EntriesDown(str(error)) from None
        return [each for each in found if not before or each.version < before][:limit]

    async def _load(self) -> _Found:
        try:
            found = entries_of(await self._client.get(f"kv/{self._routing}", {"recurse": "", "consistent": ""}))
            own = [each for each in found if each.key == self._version]
            others = _decoded(_ENTRY, [each for each in found if each.key != self._version])
            version = _version_of(own)
        except ConsulUnavailable as error:
            raise EntriesDown(str(error)) from None
        by_key: Mapping[EntryKey, RoutingEntry] = {each.key: each for each in sorted(others, key=lambda one: one.key)}
        return _Found(Entries(version, by_key), own[0].modify_index if own else 0)

    async def _is_ours(self, note: str, mark: str) -> bool:
        """Whether a transaction that was refused had been made before: a lost answer is asked for once more."""
        return any(one.mark == mark for one in _decoded(_CHANGED, entries_of(await self._client.get(f"kv/{note}"))))

    async def _notes(self) -> list[str]:
        """The keys of all transactions, the oldest first."""
        reply = await self._client.get(f"kv/{self._changes}", {"keys": ""})
        return sorted(_keys_of(reply))

    async def _prune(self) -> None:
        old = (await self._notes())[:-MOST_CHANGES]
        for first in range(0, len(old), _PRUNED):
            await transact(self._client, [operation("delete", key) for key in old[first : first + _PRUNED]])

    def _key(self, key: EntryKey) -> str:
        kind, name = key
        return f"{self._routing}{kind}/{key_name(name)}"


def _encoded(value: object) -> bytes:
    """Raises ValueError if it is too large for a value of Consul."""
    body = msgspec.json.encode(value)
    if len(body) > MOST_VALUE:
        raise ValueError(f"Consul takes values of at most {MOST_VALUE >> 10} KB, not {len(body) >> 10} KB")
    return body


def _version_of(found: Sequence[KeyEntry]) -> int:
    versions = _decoded(_VERSION, found)
    return versions[0].version if versions else 0


def _decoded(decoder: msgspec.json.Decoder[T], found: Sequence[KeyEntry]) -> list[T]:
    try:
        return [decoder.decode(each.content) for each in found]
    except (msgspec.DecodeError, ValueError) as error:
        keys = ", ".join(each.key for each in found[:3])
        raise ConsulUnavailable(f"a value cannot be read ({keys}): {error}") from None


def _keys_of(reply: ConsulReply) -> list[str]:
    if not reply.found:
        return []
    try:
        return msgspec.json.decode(reply.body, type=list[str])
    except msgspec.DecodeError as error:
        raise ConsulUnavailable(f"the answer cannot be read: {error}") from None
