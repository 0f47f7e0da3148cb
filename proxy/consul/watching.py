"""Blocking queries: their index, and how often they are sent.

Source: https://developer.hashicorp.com/consul/api-docs/features/blocking
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from proxy.consul.client import ConsulClient, ConsulReply, ConsulUnavailable

LONGEST_SECS: Final = 30.0  # of one query
MOST_BEHIND: Final = 10.0  # seconds that the server of a stale answer may not have heard from the leader
LARGE: Final = 64 * 1024  # bytes of an answer; about 100 instances
BURST: Final = 10  # answers at once, before they are slowed down
PER_SECOND: Final = 2.0


def next_index(known: int, answered: int) -> int:
    """The index of the next query after an answer. 0: begin anew, as indexes went backwards.

    An index of 0 in an answer is a bug of old versions, and would make queries return at once. 1 always waits.
    """
    return 0 if answered < known else max(1, answered)


class PollRate:
    """How long the next query must wait, so that a result that changes all the time does not load the agent."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = 0.0

    def take(self, now: float) -> float:
        """Seconds to wait before the next query."""
        self._left = min(float(BURST), self._left + (now - self._at) * PER_SECOND)
        self._at = now
        self._left -= 1.0
        return max(0.0, -self._left / PER_SECOND)


class ConsulQuery:
    """One query that is repeated. ``index`` is that of the last answer; 0: there is none, or the next begins anew.

    ``stale``: any server may answer, as long as it heard from the leader lately. Else, or later, only the leader.
    """

    def __init__(self, client: ConsulClient, path: str, params: Mapping[str, str], *, stale: bool) -> None:
        self.index = 0
        self._client = client
        self._path = path
        self._params = params
        self._stale = stale

    async def ask(self, wait: float = 0.0) -> ConsulReply:
        """The answer: at once, or after a change or ``wait`` seconds. Raises ConsulUnavailable; then it begins anew."""
        known, self.index = self.index, 0
        params = dict(self._params)
        if self._stale:
            params["stale"] = ""
        if known and wait:
            params |= {"index": str(known), "wait": f"{round(wait * 1000)}ms"}
        else:
            wait = 0.0
        reply = await self._client.get(self._path, params, wait)
        if self._stale and (reply.behind > MOST_BEHIND or not reply.led):
            reply = await self._fresh(reply)
        self.index = next_index(known, reply.index)
        return reply

    async def _fresh(self, old: ConsulReply) -> ConsulReply:
        try:
            return await self._client.get(self._path, self._params)
        except ConsulUnavailable as error:
            raise ConsulUnavailable(f"{error}; the last answer is of {old.behind:g} s ago") from None


class PollSlots:
    """Bounds the queries of one process to one agent, as that takes 200 connections of a client.

    Queries that wait are at most ``most`` at once. With more of them they take turns: each waits so shortly that a
    round takes ``round_secs``. Those that are answered at once are few at a time, so that the loop is free in between.
    """

    def __init__(self, most: int = 100, at_once: int = 8, round_secs: float = 10.0) -> None:
        self.polls = 0  # that share the slots
        self._large = asyncio.Lock()
        self._most = most
        self._round = round_secs
        self._waiting = asyncio.Semaphore(most)
        self._at_once = asyncio.Semaphore(at_once)

    @property
    def wait(self) -> float:
        """Seconds for which a query may wait now."""
        return LONGEST_SECS if self.polls <= self._most else self._round * self._most / self.polls

    @asynccontextmanager
    async def reading(self, size: int) -> AsyncIterator[None]:
        """Enter it to read an answer of ``size`` bytes. Small ones come a few in each turn of the loop (``paced.py``).

        Of large ones only one is read at a time.
        """
        if size <= LARGE:
            yield
        else:
            async with self._large:
                yield

    async def ask(self, query: ConsulQuery, pause: Callable[[], float]) -> ConsulReply:
        """``pause``: seconds before a query that would wait."""
        if query.index:
            async with self._waiting:
                await asyncio.sleep(pause())
                return await query.ask(self.wait)
        async with self._at_once:
            return await query.ask()
