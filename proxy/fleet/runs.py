"""Which run is the sub-agent of which, as replicas tell each other through Redis.

Each call of a sub-agent names its parent, so one link is always known. The links above it may have been seen by other
replicas only. They are asked for before the first call of a sub-agent is served, and then once an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import pairwise
from typing import Final

from proxy.budgets.book import Book
from proxy.budgets.runs import DEEPEST, IDLE_SECS, MOST_RUNS
from proxy.caches import ExpiringCache
from proxy.observe.log import Log
from proxy.redis.client import RedisClient

ASK_AGAIN: Final = 3600.0  # seconds; a key that is in use never expires
PAUSE: Final = 5.0  # seconds without a question after Redis did not answer, so that not every call waits for it


class SharedLineage:
    """Completes the lineage of ``book``. A key for each run has the name of its parent, for 24 hours after its use."""

    def __init__(self, redis: RedisClient, book: Book, log: Log) -> None:
        self._client = redis.commands
        self._timeout = redis.timeout
        self._prefix = f"{{{redis.prefix}}}:run:"
        self._book = book
        self._log = log
        self._asked: ExpiringCache[str, str] = ExpiringCache(MOST_RUNS)  # the parent that a run named, by run
        self._paused_until = 0.0
        self._down = False

    def learn(self, run: str, parent: str) -> Awaitable[None] | None:
        """Tell other replicas the parent of ``run``, and ask them for the line above; ``None``: no need to.

        Never raises: without an answer the call counts for the runs that this process knows of.
        """
        now = self._book.wall()
        if not self._book.rules.runs or now < self._paused_until or self._asked.get(run, now) == parent:
            return None
        return self._learn(run, parent)

    async def _learn(self, run: str, parent: str) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                line = await self._link(run, parent)
        except Exception as error:  # of any kind: requests must not be affected
            self._paused_until = self._book.wall() + PAUSE
            if not self._down:
                self._down = True
                self._log.warning(
                    "Redis does not answer; a sub-agent may not count for the runs above its parent.",
                    why=f"{type(error).__name__}: {error}",
                )
            return
        now = self._book.wall()
        for child, above in pairwise(line):
            self._book.lineage.seen(child, above, now)
        self._asked.put(run, parent, now + ASK_AGAIN)
        if self._down:
            self._down = False
            self._log.info("Redis answers again; replicas share which run is the sub-agent of which.")

    async def _link(self, run: str, parent: str) -> list[str]:
        """Store one link, and return the line from ``run`` up as far as it is known."""
        idle = int(IDLE_SECS)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.set(self._prefix + run, parent, ex=idle)
        pipeline.getex(self._prefix + parent, ex=idle)
        _, found = await pipeline.execute()
        line = [run, parent]
        while found is not None and (above := found.decode()) not in line and len(line) < DEEPEST:
            line.append(above)
            found = await self._client.getex(self._prefix + above, ex=idle)
        return line
