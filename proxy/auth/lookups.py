"""Many who ask at the same time, and one query at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from proxy.auth.apikey import ApiKey

MOST = 200  # hashes in one query, which holds the loop for some milliseconds

Query = Callable[[Sequence[str]], Awaitable[Mapping[str, ApiKey]]]
Waiting = dict[str, "asyncio.Future[ApiKey | None]"]


class Lookups:
    """Finds keys by a ``query`` for many hashes. While one runs, whoever asks for something else waits for the next.

    So a flood of keys that somebody made up costs the database one query at a time, whatever its size.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._waiting: Waiting = {}
        self._running: Waiting = {}
        self._task: asyncio.Task[None] | None = None

    async def find(self, hash: str) -> ApiKey | None:  # noqa: A002 - the field's word
        """The key, or ``None``. Raises what the query raises."""
        return await asyncio.shield(self._join(hash))  # whoever gives up does not take it from the others

    def renew(self) -> None:
        """Something has changed: the answers that are under way are for those who wait for them, and nobody else."""
        self._running = {}

    async def close(self) -> None:
        """End what runs; whoever still waits is told that it was cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def _join(self, hash: str) -> asyncio.Future[ApiKey | None]:  # noqa: A002 - the field's word
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
                future.exception()  # all who waited may be gone
            return
        for hash_, future in batch.items():
            future.set_result(found.get(hash_))
