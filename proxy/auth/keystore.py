"""API keys that were made at run time, as the database has them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Unpack

from msgspec import Struct

from proxy.auth.apikey import ApiKey
from proxy.auth.lookups import Lookups
from proxy.auth.records import DEFAULTS, Record, RecordReader, Wish, columns
from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import GatewayError

if TYPE_CHECKING:
    from proxy.database.keys import KeyTable

TIME_LIMIT = 2.0  # seconds that a lookup takes at most, its wait for the ones before it included
OVERLAP = 10.0  # seconds: five times what a transaction may take
PAGE = 500


class DatabaseDown(GatewayError):
    """Whether there is such a key cannot be told now."""

    status = 503
    code = "key_store_unavailable"

    def __init__(self, *, detail: str = "") -> None:
        super().__init__("The store of API keys is unavailable; try again in a moment.", retry_after=1, detail=detail)


class ChangedKey(Struct, frozen=True):
    """A key as it is now. ``deleted``: it is none any more."""

    key: ApiKey
    deleted: bool


class DatabaseKeys:
    """Keys in a table, which replicas share. Moments are Unix seconds by the database's clock.

    Every method raises ``DatabaseDown`` where the database cannot be asked. ``warn`` hears of rows that cannot be read.
    """

    def __init__(self, table: KeyTable, warn: Callable[[str], object] = lambda _: None) -> None:
        self._table = table
        self._read = RecordReader(warn).key
        self._lookups = Lookups(self._query)

    async def ready(self) -> None:
        """Bring the tables up to date; otherwise the first use does it.

        Raises ``ConfigError`` where they belong to a newer version.
        """
        with _asking():
            await self._table.engine.ready()

    async def close(self) -> None:
        """Cancel the lookups that run. The engine stays open; its owner closes it."""
        await self._lookups.close()

    async def find(self, hash: str) -> ApiKey | None:  # noqa: A002 - the field's word
        """The key with this hash, now or before its last rotation, whether it works or not.

        All who ask for the same at the same time share a query.
        """
        with _asking():
            async with asyncio.timeout(TIME_LIMIT):
                return await self._lookups.find(hash)

    async def get(self, id: str) -> ApiKey | None:  # noqa: A002 - the field's word
        with _asking():
            return self._optional(await self._table.get(_plausible(id)))

    async def list(self, *, limit: int = 100, after: str = "") -> Sequence[ApiKey]:
        """The oldest first, behind the one with the id ``after``."""
        with _asking():
            return [self._read(record) for record in await self._table.page(limit, after and _plausible(after))]

    async def create(self, *, hash: str, **wish: Unpack[Wish]) -> ApiKey:  # noqa: A002 - the field's word
        """A new key with a random id. It needs a ``name``, and a ``hash`` as ``apikey.new_key`` makes it."""
        new = {"id": f"key_{secrets.token_hex(10)}", "hash": hash, **columns({**DEFAULTS, **wish})}
        with _asking():
            return self._read(await self._table.insert(new))

    async def update(self, id: str, **wish: Unpack[Wish]) -> ApiKey | None:  # noqa: A002 - the field's word
        """The key as it is now; what is not named stays. ``None``: there is no such key."""
        with _asking():
            return self._optional(await self._table.update(_plausible(id), columns(wish)))

    async def delete(self, id: str) -> ApiKey | None:  # noqa: A002 - the field's word
        """The key as it was last; ``None``: there is no such key."""
        with _asking():
            return self._optional(await self._table.update(_plausible(id), {"deleted": True}))

    async def rotate(self, id: str, hash: str, grace: float) -> ApiKey | None:  # noqa: A002 - the fields' words
        """Give the key a new ``hash``; the one before works for another ``grace`` seconds, and any older one no more.

        ``None``: there is no such key.
        """
        with _asking():
            return self._optional(await self._table.rotate(_plausible(id), hash, grace))

    async def changes(self, since: float | None) -> tuple[Sequence[ChangedKey], float]:
        """What has changed since that watermark, and the next one. ``None``: nothing is known yet.

        A transaction becomes visible only when it commits, which may be after one that began later: what changed up
        to ``OVERLAP`` seconds before the watermark is told again.
        """
        with _asking():
            # A watermark that came from the youngest row would tell that row and its neighbours for ever.
            mark = await self._table.now()
            records = await self._changed((mark if since is None else since) - OVERLAP)
        if records:
            self._lookups.renew()
        return [ChangedKey(self._read(record), record["deleted"]) for record in records], mark

    async def _changed(self, since: float) -> Sequence[Record]:
        # In pages: after a long absence all of it could take more time than one query has.
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


def open_store(database: LazyEngine, warn: Callable[[str], object] = lambda _: None) -> DatabaseKeys:
    """The keys in ``database``, which is created if it is first needed here. Raises ConfigError."""
    engine = database.get()
    from proxy.database.keys import KeyTable  # with it comes SQLAlchemy

    return DatabaseKeys(KeyTable(engine), warn)


def _plausible(id: str) -> str:  # noqa: A002 - the field's word
    """What PostgreSQL would refuse as no text (NUL, lone surrogates) is the id of no key."""
    return id if id.isascii() and id.isprintable() else "-"


@contextmanager
def _asking() -> Iterator[None]:
    """What a database raises becomes what a client is told."""
    try:
        yield
    except (Unreachable, TimeoutError) as error:
        raise DatabaseDown(detail=str(error)) from None
