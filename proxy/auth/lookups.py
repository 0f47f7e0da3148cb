"""Batching concurrent lookups into one query at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from proxy.auth.apikey import ApiKey

MOST = 200  # hashes in one query, which blocks the loop for some milliseconds

Query = Callable[[Sequence[str]], Awaitable[Mapping[str, ApiKey]]]
Waiting = dict[str, "asyncio.Future[ApiKey | None]"]


class Lookups:
    """Finds keys by ``query``, for many hashes at once. While one query runs, further lookups wait for the next.

    A flood of invented keys costs the database one query at a time.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._waiting: Waiting = {}
        self._running: Waiting = {}
        self._task: asyncio.Task[None] | None = None

    async def find(self, hash: str) -> ApiKey | None:  # noqa: A002
        """The key, or ``None``. Raises what the query raises."""
        return await asyncio.shield(self._join(hash))  # a canceled request must not cancel the others

    def renew(self) -> None:
        """Start new queries for later lookups: results of running ones may be out of date."""
        self._running = {}

    async def close(self) -> None:
        """Cancel running queries, and the lookups that wait for them."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def _join(self, hash: str) -> asyncio.Future[ApiKey | None]:  # noqa: A002
        found = self._running.get(hash) or self._waiting.get(hash)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._waiting[hash] = loop.create_future()
            if self._task is None or self._task.done():
                self._task = loop.create_task(self._run())
        return found

    async def _run(self) -> None:
        batch: Waiting = {}
        try:
            while self._waiting:
                batch = {hash_: self._waiting.pop(hash_) for hash_ in [*self._waiting][:MOST]}
                self._running = batch
                await self._answer(batch)
        finally:
            self._running = {}
            for future in (*batch.values(), *self._waiting.values()):
                future.cancel()
            self._waiting = {}

    async def _answer(self, batch: Waiting) -> None:
        try:
            found = await self._query([*batch])
        except Exception as error:
            for future in batch.values():
                future.set_exception(error)
                future.exception()  # mark it as retrieved; all waiting requests may have been canceled
            return
        for hash_, future in batch.items():
            future.set_result(found.get(hash_))
