"""API keys in the database, made at run time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Unpack

from msgspec import Struct

from proxy.auth.apikey import ApiKey
from proxy.auth.lookups import Lookups
from proxy.auth.records import DEFAULTS, KeyFields, Record, RecordReader, columns
from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import GatewayError

if TYPE_CHECKING:
    from proxy.database.keys import KeyEvents, KeyTable

TIME_LIMIT = 2.0  # seconds for a lookup, including its wait for earlier ones
OVERLAP = 10.0  # seconds, five times the longest transaction
PAGE = 500


class DatabaseDown(GatewayError):
    """The database cannot be queried, so a key cannot be looked up."""

    status = 503
    code = "key_store_unavailable"

    def __init__(self, *, detail: str = "") -> None:
        super().__init__("The store of API keys is unavailable; try again in a moment.", retry_after=1, detail=detail)


class ChangedKey(Struct, frozen=True):
    """The present state of a changed key. ``deleted``: it no longer exists."""

    key: ApiKey
    deleted: bool


class DatabaseKeys:
    """A table of keys, shared by replicas. Times are Unix seconds of the database's clock.

    All methods raise ``DatabaseDown`` if the database cannot be queried. ``warn`` reports rows that cannot be read.
    """

    def __init__(self, table: KeyTable, warn: Callable[[str], object] = lambda _: None) -> None:
        self._table = table
        self._read = RecordReader(warn).key
        self._lookups = Lookups(self._query)

    async def ready(self) -> None:
        """Create or migrate the tables now instead of at the first use.

        Raises ``ConfigError`` if they belong to a newer version.
        """
        with _asking():
            await self._table.engine.ready()

    async def close(self) -> None:
        """Cancel running lookups. The engine stays open; its owner closes it."""
        await self._lookups.close()

    async def find(self, hash: str) -> ApiKey | None:  # noqa: A002
        """The key with this hash, now or before its last rotation, valid or not.

        Concurrent lookups of the same hash share a query.
        """
        with _asking():
            async with asyncio.timeout(TIME_LIMIT):
                return await self._lookups.find(hash)

    async def get(self, id: str) -> ApiKey | None:  # noqa: A002
        with _asking():
            return self._optional(await self._table.get(_plausible(id)))

    async def list(self, *, limit: int = 100, after: str = "") -> Sequence[ApiKey]:
        """Keys after the one with the ID ``after``, oldest first."""
        with _asking():
            return [self._read(record) for record in await self._table.page(limit, after and _plausible(after))]

    async def expiring(self, after: float, before: float, limit: int) -> Sequence[ApiKey]:
        """Enabled keys that expire between two times, the first to expire first."""
        with _asking():
            return [self._read(record) for record in await self._table.expiring(after, before, limit)]

    async def create(self, *, hash: str, **fields: Unpack[KeyFields]) -> ApiKey:  # noqa: A002
        """Create a key with a random ID. Needs a ``name``, and a ``hash`` from ``apikey.new_key``."""
        new = {"id": f"key_{secrets.token_hex(10)}", "hash": hash, **columns({**DEFAULTS, **fields})}
        with _asking():
            return self._read(await self._table.insert(new))

    async def update(self, id: str, **fields: Unpack[KeyFields]) -> ApiKey | None:  # noqa: A002
        """Change the given fields and return the key; ``None``: there is no such key."""
        with _asking():
            return self._optional(await self._table.update(_plausible(id), columns(fields)))

    async def delete(self, id: str) -> ApiKey | None:  # noqa: A002
        """Delete a key and return its last state; ``None``: there is no such key."""
        with _asking():
            return self._optional(await self._table.update(_plausible(id), {"deleted": True}))

    async def rotate(self, id: str, hash: str, grace: float) -> ApiKey | None:  # noqa: A002 - the fields' words
        """Set a new ``hash``. The previous one is valid for another ``grace`` seconds; older ones are not.

        ``None``: there is no such key.
        """
        with _asking():
            return self._optional(await self._table.rotate(_plausible(id), hash, grace))

    async def changes(self, since: float | None) -> tuple[Sequence[ChangedKey], float]:
        """Changes since a watermark, and the next watermark. ``None``: all keys.

        A transaction becomes visible at its commit, possibly after one that began later. So changes within ``OVERLAP``
        seconds before the watermark are returned again.
        """
        with _asking():
            # A watermark from the newest row would return that row and its neighbors forever.
            mark = await self._table.now()
            records = await self._changed((mark if since is None else since) - OVERLAP)
        if records:
            self._lookups.renew()
        return [ChangedKey(self._read(record), record["deleted"]) for record in records], mark

    async def _changed(self, since: float) -> Sequence[Record]:
        # In pages: after a long outage, one query could exceed its time limit.
        page = await self._table.changed(since, "", PAGE)
        records = [*page]
        while len(page) == PAGE:
            page = await self._table.changed(page[-1]["changed_at"], page[-1]["id"], PAGE)
            records += page
        return records

    async def _query(self, hashes: Sequence[str]) -> Mapping[str, ApiKey]:
        keys = [self._read(record) for record in await self._table.found(hashes)]
        return {hash_: key for key in keys for hash_ in key.hashes}

    def _optional(self, record: Record | None) -> ApiKey | None:
        return None if record is None else self._read(record)


def open_store(
    database: LazyEngine, warn: Callable[[str], object] = lambda _: None, events: KeyEvents | None = None
) -> DatabaseKeys:
    """The keys in ``database``, which is opened if needed. ``events`` makes events of changes. Raises ConfigError."""
    engine = database.get()
    from proxy.database.keys import KeyTable  # with it comes SQLAlchemy

    return DatabaseKeys(KeyTable(engine, events), warn)


def _plausible(id: str) -> str:  # noqa: A002
    """Whether an ID can exist: PostgreSQL rejects NUL and lone surrogates."""
    return id if id.isascii() and id.isprintable() else "-"


@contextmanager
def _asking() -> Iterator[None]:
    """Translate database errors into ``DatabaseDown``."""
    try:
        yield
    except (Unreachable, TimeoutError) as error:
        raise DatabaseDown(detail=str(error)) from None
