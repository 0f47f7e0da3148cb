"""Keep-alive connections per origin: newest first, because the newest is the least likely to be dead."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from prometheus_async.aio import time as measured
from prometheus_client import Histogram

from proxy.client.connection import ReadBuffer, UpstreamConnection
from proxy.client.dial import Dialer, Origin
from proxy.config.provider_schema import PoolSettings as Settings
from proxy.errors import ConnectFailed
from proxy.net.clocks import NEVER
from proxy.net.outbox import Outbox

MAX_WAITERS = 1024  # per origin


class Gauges(Protocol):
    """The counters that the pool moves."""

    upstream_connections_opened: int
    upstream_connections_reused: int
    connect_seconds: Histogram


class _Place:
    """The connections of one origin."""

    __slots__ = ("idle", "open", "waiters")

    def __init__(self) -> None:
        self.idle: deque[UpstreamConnection] = deque()
        self.open = 0  # connected or being dialled
        self.waiters: deque[asyncio.Future[None]] = deque()


class Pool:
    """``take`` a connection that is there, else ``open`` one; ``release`` it when its answer ended."""

    def __init__(
        self,
        dialer: Dialer,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        gauges: Gauges,
        outbox: Outbox,
    ) -> None:
        self._dialer = dialer
        self._settings = settings
        self._max_idle = settings.idle_secs or NEVER
        self._max_age = settings.max_age_secs or NEVER
        self._loop = loop
        self._gauges = gauges
        self._buffer = ReadBuffer()
        self._outbox = outbox
        self._places: dict[Origin, _Place] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._connections: set[UpstreamConnection] = set()

    def __repr__(self) -> str:
        idle = sum(len(place.idle) for place in self._places.values())
        return f"<Pool open={len(self._connections)} idle={idle}>"

    def __len__(self) -> int:
        return len(self._connections)

    def open_by_origin(self) -> dict[Origin, int]:
        return {origin: place.open for origin, place in self._places.items() if place.open}

    def take(self, origin: Origin, now: float) -> UpstreamConnection | None:
        """The newest idle connection that may be used at the moment ``now``, or ``None``."""
        place = self._places.get(origin)
        if place is None:
            return None
        idle = place.idle
        while idle:
            connection = idle.pop()
            transport = connection.transport
            if (
                now - connection.last_read <= self._max_idle
                and now - connection.born <= self._max_age
                and transport is not None
                and not transport.is_closing()
            ):
                self._gauges.upstream_connections_reused += 1
                return connection
            connection.abort()
        return None

    async def open(self, origin: Origin, timeout: float) -> UpstreamConnection:
        """A new connection, or a freed one where the maximum is reached.

        Raises ConnectFailed (also when no place came free in time) and ClockExpired("connect").
        """
        place = self._places.get(origin)
        if place is None:
            place = self._places[origin] = _Place()
        maximum = self._settings.max_connections
        deadline = self._loop.time() + self._settings.wait_secs if self._settings.wait_secs else None
        while maximum and place.open >= maximum:
            await self._wait(place, deadline)
            connection = self.take(origin, self._loop.time())
            if connection is not None:
                return connection
        place.open += 1
        connection = UpstreamConnection(origin, self._loop, self._buffer, self._outbox, self._lost)
        self._connections.add(connection)
        try:
            await measured(self._gauges.connect_seconds, self._dialer.dial(origin, lambda: connection, timeout))
        except BaseException:
            self._lost(connection)
            raise
        if self._closed or connection.transport is None:
            connection.abort()
            raise ConnectFailed("The provider closed the connection at once.")
        connection.forwarding = self._dialer.forwarding(origin)
        self._gauges.upstream_connections_opened += 1
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """The answer ended: keep the connection if it may be used again. How old it is, is judged when it is taken."""
        place = self._places.get(connection.origin)
        if place is None or self._closed or not connection.keep_alive:
            connection.abort()
            return
        place.idle.append(connection)
        if place.waiters:
            self._wake(place)
        if self._sweep is None and self._settings.idle_secs:
            self._sweep = self._loop.call_later(self._settings.idle_secs / 2, self._expire)

    def close(self) -> None:
        """Close every connection, busy ones too."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in list(self._connections):
            connection.abort()

    def _lost(self, connection: UpstreamConnection) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        place = self._places[connection.origin]
        if connection in place.idle:
            place.idle.remove(connection)
        place.open -= 1
        self._wake(place)

    async def _wait(self, place: _Place, deadline: float | None) -> None:
        if len(place.waiters) >= MAX_WAITERS:
            raise ConnectFailed("Too many requests wait for a connection to the provider.", code="upstream_busy")
        waiter: asyncio.Future[None] = self._loop.create_future()
        place.waiters.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except BaseException as exc:
            if waiter in place.waiters:
                place.waiters.remove(waiter)
            else:
                self._wake(place)  # woken as it gave up: the turn is the next one's
            if isinstance(exc, TimeoutError):
                raise ConnectFailed("No connection to the provider came free in time.", code="upstream_busy") from None
            raise

    def _wake(self, place: _Place) -> None:
        while place.waiters:
            waiter = place.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _expire(self) -> None:
        self._sweep = None
        now = self._loop.time()
        for place in self._places.values():
            for connection in [
                each for each in place.idle if now - each.last_read > self._max_idle or now - each.born > self._max_age
            ]:
                place.idle.remove(connection)
                connection.abort()
        if any(place.idle for place in self._places.values()) and not self._closed:
            self._sweep = self._loop.call_later(self._settings.idle_secs / 2, self._expire)
