"""Breaker states that replicas share through Redis, so that a provider's failure is found out once.

Shared are breakers that open, that an operator holds open, and missing models. No request waits for it: while Redis
does not answer, each replica uses what it has seen itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from proxy.breakers.breaker import Breaker, State
from proxy.fleet.board import HEARTBEAT_SECS, Board, Subscription, stored
from proxy.fleet.updates import BreakerMessage, UpdateQueue, decode, update_of
from proxy.observe.log import Log
from proxy.redis.client import RedisClient

FIRST_DELAY: Final = 0.25  # seconds until the next attempt to connect, doubled each time
MAX_DELAY: Final = 5.0
CLOSE_SECS: Final = 2.0


class SharingState(Struct, frozen=True):
    """Whether Redis answers. ``since``: in Unix seconds. ``latency`` of its last answer, in seconds."""

    up: bool
    since: float
    latency: float | None = None


class SharedBreakers:
    """``changed`` is a listener of the registry's breakers.

    ``find`` returns the breakers of configured deployments. Others are neither sent nor applied, since clients can make
    up any number of names. ``now`` is the breakers' clock. An update that Redis loses costs one more failure.
    """

    def __init__(
        self,
        redis: RedisClient,
        find: Callable[[str], Breaker | None],
        wall: Callable[[], float],
        now: Callable[[], float],
        log: Log,
    ) -> None:
        self._origin = secrets.token_hex(8)
        self._board = Board(redis, self._origin)
        self._timeout = redis.timeout
        self._find = find
        self._wall = wall
        self._now = now
        self._log = log
        self._queue = UpdateQueue()
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()  # the first connection succeeded, or failed
        self._reading = False
        self._lost = False
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.state = SharingState(False, wall())
        self.malformed = 0

    async def start(self) -> None:
        """Apply what is stored, or go on without it after ``timeout``."""
        self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(self._timeout):
                await self._tried.wait()
        except TimeoutError:
            pass  # the task keeps trying

    async def close(self) -> None:
        """Send what waits, within 2 seconds, if Redis answers."""
        up, self._closing = self.state.up, True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            if up and self._queue:
                async with asyncio.timeout(CLOSE_SECS):
                    await self._board.write(self._queue.waiting(), self._now())
        except Exception as error:
            self._log.debug(f"The last updates of breakers were not sent: {_reason(error)}.")

    def changed(self, breaker: Breaker, old: State, now: float) -> None:
        """Queue the change, if it is shared."""
        update = update_of(breaker, now)
        if update is not None and self._find(breaker.key) is breaker:
            self._queue.put(update)
            self._wake.set()

    def refresh(self) -> None:
        """Apply again what is stored, soon: a reload may have added deployments."""
        self._reading = True
        self._wake.set()

    # -- while Redis answers ---------------------------------------------------------------------

    async def _run(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                await self._session()
            except Exception as error:  # of any kind: requests must not be affected
                if self._closing:
                    return  # the error replaced the cancellation
                delay = FIRST_DELAY if self.state.up else min(delay * 2, MAX_DELAY)
                self._disconnected(error)
            await asyncio.sleep(delay)

    async def _session(self) -> None:
        # Subscribe first, then read what is stored: nothing is missed between the two.
        async with self._board.subscription() as subscription:
            await self._flush()
            await self._read()
            self._connected()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(subscription))
                group.create_task(self._send())

    async def _receive(self, subscription: Subscription) -> None:
        while True:
            self._apply(decode(await subscription.next()))

    async def _send(self) -> None:
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self._flush()
            if self._reading:
                await self._read()

    async def _flush(self) -> None:
        """Send what waits, or ping Redis."""
        began, updates = self._now(), self._queue.waiting()
        if updates:
            await self._board.write(updates, began)
            self._queue.sent(updates)
        else:
            await self._board.ping()
        self.state = SharingState(self.state.up, self.state.since, self._now() - began)

    async def _read(self) -> None:
        self._reading = False
        for age, message in await self._board.read():
            self._apply(stored(age, message))

    def _apply(self, message: BreakerMessage | None) -> None:
        if message is None:
            self.malformed += 1
            self._log.debug("An update of a breaker by another replica is malformed.", count=self.malformed)
            return
        breaker = None if message.origin == self._origin else self._find(message.key)
        if breaker is not None:
            now = self._now()
            breaker.apply_remote(message.event, now, now - message.age, message.why, message.endpoint, message.cooldown)

    # -- changes of the connection -----------------------------------------------------------------

    def _connected(self) -> None:
        self.state = SharingState(True, self._wall(), self.state.latency)
        self._tried.set()
        if self._lost:
            self._lost = False
            self._log.info("Redis answers again; replicas share breaker states.")

    def _disconnected(self, error: Exception) -> None:
        if self.state.up or not self._lost:
            self.state = SharingState(False, self._wall())
        self._tried.set()
        if not self._lost:
            self._lost = True
            self._log.warning(f"Redis does not answer; replicas do not share breaker states: {_reason(error)}.")


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
