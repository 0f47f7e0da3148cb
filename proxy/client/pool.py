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


class PoolMetrics(Protocol):
    """The metrics that the pool updates."""

    upstream_connections_opened: int
    upstream_connections_reused: int
    connect_seconds: Histogram


class _OriginGroup:
    """The connections of one origin."""

    __slots__ = ("idle", "left", "open", "waiters")

    def __init__(self) -> None:
        self.idle: deque[UpstreamConnection] = deque()
        self.open = 0  # connected or being dialled
        self.left = False  # its address left: connections end with their response
        self.waiters: deque[asyncio.Future[None]] = deque()


class ConnectionPool:
    """``take`` an idle connection, else ``open`` one; ``release`` it when its response ended."""

    def __init__(
        self,
        dialer: Dialer,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        metrics: PoolMetrics,
        outbox: Outbox,
    ) -> None:
        self._dialer = dialer
        self._settings = settings
        self._max_idle = settings.idle_secs or NEVER
        self._max_age = settings.max_age_secs or NEVER
        self._loop = loop
        self._metrics = metrics
        self._buffer = ReadBuffer()
        self._outbox = outbox
        self._groups: dict[Origin, _OriginGroup] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._connections: set[UpstreamConnection] = set()

    def __repr__(self) -> str:
        idle = sum(len(group.idle) for group in self._groups.values())
        return f"<ConnectionPool open={len(self._connections)} idle={idle}>"

    def __len__(self) -> int:
        return len(self._connections)

    def open_by_origin(self) -> dict[Origin, int]:
        return {origin: group.open for origin, group in self._groups.items() if group.open}

    def take(self, origin: Origin, now: float) -> UpstreamConnection | None:
        """The newest idle connection that may be used at the moment ``now``, or ``None``."""
        group = self._groups.get(origin)
        if group is None:
            return None
        idle = group.idle
        while idle:
            connection = idle.pop()
            transport = connection.transport
            if (
                now - connection.last_read <= self._max_idle
                and now - connection.born <= self._max_age
                and transport is not None
                and not transport.is_closing()
            ):
                self._metrics.upstream_connections_reused += 1
                return connection
            connection.abort()
        return None

    async def open(self, origin: Origin, timeout: float) -> UpstreamConnection:
        """A new connection, or a freed one where the maximum is reached.

        Raises ConnectFailed (also if no connection came free in time), and ClockExpired("connect").
        """
        group = self._groups.get(origin)
        if group is None:
            group = self._groups[origin] = _OriginGroup()
        group.left = False
        maximum = self._settings.max_connections
        deadline = self._loop.time() + self._settings.wait_secs if self._settings.wait_secs else None
        while maximum and group.open >= maximum:
            await self._wait(group, deadline)
            connection = self.take(origin, self._loop.time())
            if connection is not None:
                return connection
        group.open += 1
        connection = UpstreamConnection(origin, self._loop, self._buffer, self._outbox, self._lost)
        self._connections.add(connection)
        try:
            await measured(self._metrics.connect_seconds, self._dialer.dial(origin, lambda: connection, timeout))
        except BaseException:
            self._lost(connection)
            raise
        if self._closed or connection.transport is None:
            connection.abort()
            raise ConnectFailed("The provider closed the connection at once.")
        connection.forwarding = self._dialer.forwarding(origin)
        self._metrics.upstream_connections_opened += 1
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """The response ended: keep the connection if it may be used again. ``take`` looks at its age."""
        group = self._groups.get(connection.origin)
        if group is None or self._closed or group.left or not connection.keep_alive:
            connection.abort()
            return
        group.idle.append(connection)
        if group.waiters:
            self._wake(group)
        if self._sweep is None and self._settings.idle_secs:
            self._sweep = self._loop.call_later(self._settings.idle_secs / 2, self._expire)

    def leave(self, origin: Origin) -> None:
        """The origin's address left: close its idle connections now, and the others when their response has ended."""
        group = self._groups.get(origin)
        if group is None:
            return
        group.left = True
        for connection in [*group.idle]:
            connection.abort()
        self._forget(origin, group)

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
        group = self._groups[connection.origin]
        if connection in group.idle:
            group.idle.remove(connection)
        group.open -= 1
        self._wake(group)
        self._forget(connection.origin, group)

    def _forget(self, origin: Origin, group: _OriginGroup) -> None:
        """Drop the group of an address that left, once nothing is open there."""
        if group.left and not group.open and not group.waiters and self._groups.get(origin) is group:
            del self._groups[origin]

    async def _wait(self, group: _OriginGroup, deadline: float | None) -> None:
        if len(group.waiters) >= MAX_WAITERS:
            raise ConnectFailed("Too many requests wait for a connection to the provider.", code="upstream_busy")
        waiter: asyncio.Future[None] = self._loop.create_future()
        group.waiters.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except BaseException as exc:
            if waiter in group.waiters:
                group.waiters.remove(waiter)
            else:
                self._wake(group)  # it was woken as it gave up: wake the next one
            if isinstance(exc, TimeoutError):
                raise ConnectFailed("No connection to the provider came free in time.", code="upstream_busy") from None
            raise

    def _wake(self, group: _OriginGroup) -> None:
        while group.waiters:
            waiter = group.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _expire(self) -> None:
        self._sweep = None
        now = self._loop.time()
        for group in self._groups.values():
            for connection in [
                each for each in group.idle if now - each.last_read > self._max_idle or now - each.born > self._max_age
            ]:
                group.idle.remove(connection)
                connection.abort()
        if any(group.idle for group in self._groups.values()) and not self._closed:
            self._sweep = self._loop.call_later(self._settings.idle_secs / 2, self._expire)
