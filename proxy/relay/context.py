"""State that all upstream calls of a process share."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from msgspec import Struct

from proxy.client.pool import ConnectionPool
from proxy.config.schema import ServerSettings
from proxy.net.budget import Budget
from proxy.net.clocks import Ticker

MEGABYTE: Final = 1024 * 1024
PING_EVERY: Final = 15.0  # seconds of silence after which a client that waits for a stream gets another comment


class CallCounters(Protocol):
    """The counters that an upstream call increments."""

    possible_double_executions: int
    dropped_events: int


class TransportContext(Struct, frozen=True):
    """Loop, clocks, connections, memory bounds and counters. No pings if ``ping_after`` is 0."""

    loop: asyncio.AbstractEventLoop
    ticker: Ticker
    pool: ConnectionPool
    budget: Budget
    counters: CallCounters
    max_answer: int  # bytes of a JSON answer that is collected
    ping_after: float
    ping_every: float

    @classmethod
    def of(
        cls,
        server: ServerSettings,
        loop: asyncio.AbstractEventLoop,
        pool: ConnectionPool,
        counters: CallCounters,
    ) -> TransportContext:
        """The context of a process with these settings."""
        return cls(
            loop=loop,
            ticker=Ticker(loop),
            pool=pool,
            budget=Budget(int(server.max_buffered_mb * MEGABYTE)),
            counters=counters,
            max_answer=int(server.max_answer_mb * MEGABYTE),
            ping_after=server.ping_after,
            ping_every=PING_EVERY,
        )
