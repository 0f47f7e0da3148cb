"""The KV store and the sessions that lock its keys: ``agent/consul/state/kvs.go`` and ``session.go``."""

from __future__ import annotations

import base64
import copy
import uuid
from dataclasses import dataclass
from typing import Any

from tests.support.consul.store import Index, Ticker


class Refused(Exception):
    """An operation that Consul answers with an error."""


@dataclass
class Entry:
    key: str
    value: bytes
    flags: int = 0
    create: int = 0
    modify: int = 0
    lock: int = 0
    session: str = ""

    def shown(self, value: bool = True) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "LockIndex": self.lock,
            "Key": self.key,
            "Flags": self.flags,
            "Value": base64.b64encode(self.value).decode() if value and self.value else None,
            "CreateIndex": self.create,
            "ModifyIndex": self.modify,
        }
        if self.session:
            shown["Session"] = self.session
        return shown


@dataclass
class Session:
    id: str
    name: str
    node: str
    checks: list[str]
    lock_delay: float
    behavior: str
    ttl: str
    ttl_secs: float
    index: int
    timer: int | None = None

    def shown(self) -> dict[str, Any]:
        return {
            "ID": self.id,
            "Name": self.name,
            "Node": self.node,
            "LockDelay": int(self.lock_delay * 1e9),
            "Behavior": self.behavior,
            "TTL": self.ttl,
            "NodeChecks": self.checks,
            "ServiceChecks": None,
            "CreateIndex": self.index,
            "ModifyIndex": self.index,
        }


class KeyValues:
    def __init__(self, index: Index, ticker: Ticker) -> None:
        self.entries: dict[str, Entry] = {}
        self.sessions: dict[str, Session] = {}
        self._stones: dict[str, int] = {}  # deleted keys and prefixes: their index does not go backwards
        self._delays: dict[str, float] = {}  # when a lock delay ends, by key
        self._index = index
        self._ticker = ticker

    # reading: (index, what)

    def get(self, key: str) -> tuple[int, Entry | None]:
        entry = self.entries.get(key)
        return (self._highest() or 1, None) if entry is None else (entry.modify, entry)

    def list(self, prefix: str) -> tuple[int, list[Entry]]:
        found = [self.entries[key] for key in sorted(self.entries) if key.startswith(prefix)]
        index = max((each.modify for each in found), default=0)
        if prefix:
            index = max([index, *(each for key, each in self._stones.items() if key.startswith(prefix))])
        else:
            index = self._highest()
        return index or self._highest() or 1, found

    def keys(self, prefix: str, separator: str) -> tuple[int, list[str]]:
        index, found = self.list(prefix)
        names: dict[str, None] = {}
        for each in found:
            rest = each.key[len(prefix) :]
            cut = rest.find(separator) if separator else -1
            names[each.key if cut < 0 else prefix + rest[: cut + len(separator)]] = None
        return index, [*names]

    # writing

    def put(self, key: str, value: bytes, flags: int = 0, index: int | None = None) -> bool:
        old = self.entries.get(key)
        self._set(Entry(key, value, flags, session=old.session if old else ""), index or self._index.next())
        return True

    def cas(self, key: str, value: bytes, flags: int, expected: int, index: int | None = None) -> bool:
        old = self.entries.get(key)
        index = index or self._index.next()
        return expected == (old.modify if old else 0) and self.put(key, value, flags, index)

    def acquire(self, key: str, value: bytes, flags: int, session: str, index: int | None = None) -> bool:
        if self._delays.get(key, 0.0) > self._ticker.now():
            return False
        if session not in self.sessions:
            raise Refused(f'invalid session "{session}"')
        old = self.entries.get(key)
        if old is not None and old.session not in ("", session):
            return False
        lock = 1 if old is None else old.lock + (old.session != session)
        self._set(Entry(key, value, flags, lock=lock, session=session), index or self._index.next())
        return True

    def release(self, key: str, value: bytes, flags: int, session: str, index: int | None = None) -> bool:
        old = self.entries.get(key)
        if old is None or old.session != session:
            return False
        self._set(Entry(key, value, flags, lock=old.lock), index or self._index.next())
        return True

    def delete(self, key: str, index: int | None = None) -> bool:
        index = index or self._index.next()
        if self.entries.pop(key, None) is not None:
            self._bury(key, index)
        return True

    def delete_cas(self, key: str, expected: int, index: int | None = None) -> bool:
        """True without the key, whatever is expected, as in Consul."""
        old = self.entries.get(key)
        if old is None or old.modify != expected:
            return old is None
        return self.delete(key, index)

    def delete_tree(self, prefix: str, index: int | None = None) -> bool:
        index = index or self._index.next()
        gone = [key for key in self.entries if key.startswith(prefix)]
        for key in gone:
            del self.entries[key]
        if gone:
            self._bury(prefix, index)
        return True

    def reap(self) -> None:
        """Consul removes what it knows of deleted keys after 15 minutes: the index of a prefix may go backwards."""
        self._stones.clear()
        self._index.touch("tombstones", self._index.next())

    def restore(self, entries: list[Entry]) -> None:
        self.entries = {each.key: each for each in entries}
        self._stones.clear()

    def copied(self) -> list[Entry]:
        return copy.deepcopy([*self.entries.values()])

    # sessions

    def create(
        self, node: str, name: str, checks: list[str], delay: float, behavior: str, ttl: str, ttl_secs: float
    ) -> Session:
        index = self._index.next()
        session = Session(str(uuid.uuid4()), name, node, checks, delay, behavior, ttl, ttl_secs, index)
        self.sessions[session.id] = session
        self.renew(session.id)
        self._index.touch("sessions", index)
        return session

    def renew(self, ident: str) -> Session | None:
        session = self.sessions.get(ident)
        if session is not None and session.ttl_secs:
            self._ticker.cancel(session.timer)
            # A session lives twice its TTL, for clocks and the network (agent/consul/session_ttl.go).
            session.timer = self._ticker.at(2 * session.ttl_secs, lambda: self.destroy(ident))
        return session

    def destroy(self, ident: str) -> None:
        session = self.sessions.pop(ident, None)
        if session is None:
            return
        self._ticker.cancel(session.timer)
        index = self._index.next()
        for entry in [each for each in self.entries.values() if each.session == ident]:
            if session.behavior == "delete":
                self.delete(entry.key, index)
            else:
                self._set(Entry(entry.key, entry.value, entry.flags, lock=entry.lock), index)
            if session.lock_delay:
                self._delays[entry.key] = self._ticker.now() + session.lock_delay
        self._index.touch("sessions", index)

    def check_failed(self, node: str, check: str) -> None:
        """The check is critical, or gone."""
        for each in [*self.sessions.values()]:
            if each.node == node and check in each.checks:
                self.destroy(each.id)

    def transact(self, run: Any) -> Any:
        """Run all of ``run``, or nothing: it raises Refused."""
        kept = copy.deepcopy((self.entries, self._stones))
        tables = dict(self._index.tables)
        try:
            return run(self._index.next())
        except Refused:
            self.entries, self._stones = kept
            self._index.tables = tables
            raise

    def _set(self, entry: Entry, index: int) -> None:
        old = self.entries.get(entry.key)
        entry.create = index if old is None else old.create
        if old is not None and (old.value, old.flags, old.lock, old.session) == (
            entry.value,
            entry.flags,
            entry.lock,
            entry.session,
        ):
            return  # the same again is no write
        entry.modify = index
        self.entries[entry.key] = entry
        self._index.touch("kvs", index)

    def _bury(self, key: str, index: int) -> None:
        self._stones[key] = index
        self._index.touch("tombstones", index)
        self._index.touch("kvs", index)

    def _highest(self) -> int:
        return self._index.highest("kvs", "tombstones")
