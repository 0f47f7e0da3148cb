"""Breaker state that replicas share through Redis, so that not each of them has to learn it by failing.

What opens, is held by an operator, or has no such model here is told to the others, and what they tell is remote.
Nothing waits for any of it: while Redis is away every replica goes by what it sees itself, as it does without.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from proxy.breakers.breaker import Breaker, State
from proxy.fleet.board import HEARTBEAT_SECS, Board, Subscription, stands
from proxy.fleet.news import News, Outbox, decode, word_of
from proxy.redis import RedisClient

FIRST_DELAY: Final = 0.25  # seconds until it is tried again, doubled each time
MOST_DELAY: Final = 5.0
CLOSE_SECS: Final = 2.0

Tell = Callable[[str], None]


class Link(Struct, frozen=True):
    """How it stands with Redis: since when (Unix seconds), and how long its last answer took (``None``: it is away)."""

    up: bool
    since: float
    latency: float | None = None


class SharedBreakers:
    """``changed`` is for every breaker's ``on_change``.

    ``find`` knows the breakers of configured deployments; others are neither sent nor applied, since clients can make
    up any number of names. ``now`` is the breakers' clock. A word that Redis loses costs nothing but a failure.
    """

    def __init__(
        self,
        redis: RedisClient,
        find: Callable[[str], Breaker | None],
        wall: Callable[[], float],
        now: Callable[[], float],
        warn: Tell,
        info: Tell,
        debug: Tell,
    ) -> None:
        self._origin = secrets.token_hex(8)
        self._board = Board(redis, self._origin)
        self._timeout = redis.timeout
        self._find = find
        self._wall = wall
        self._now = now
        self._warn, self._info, self._debug = warn, info, debug
        self._outbox = Outbox()
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()  # the first connection succeeded, or failed
        self._reading = False
        self._lost = False
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.state = Link(False, wall())
        self.malformed = 0

    async def start(self) -> None:
        """Learn what stands, or go on without it after ``timeout``."""
        self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(self._timeout):
                await self._tried.wait()
        except TimeoutError:
            pass  # it goes on trying

    async def close(self) -> None:
        """What waits is sent, within 2 seconds, if Redis is there."""
        up, self._closing = self.state.up, True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            if up and self._outbox:
                async with asyncio.timeout(CLOSE_SECS):
                    await self._board.write(self._outbox.waiting(), self._now())
        except Exception as error:
            self._debug(f"The last words on breakers were not sent: {_told(error)}.")

    def changed(self, breaker: Breaker, old: State, now: float) -> None:
        """Queue what others should know of it."""
        word = word_of(breaker, now)
        if word is not None and self._find(breaker.key) is breaker:
            self._outbox.put(word)
            self._wake.set()

    def refresh(self) -> None:
        """Soon learn once more what stands: after a reload there are deployments that were not known before."""
        self._reading = True
        self._wake.set()

    # -- with Redis, for as long as it is there ----------------------------------------------------

    async def _run(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                await self._session()
            except Exception as error:  # whatever it is: requests must not notice
                if self._closing:
                    return  # an error on the way out has taken the cancellation's place
                delay = FIRST_DELAY if self.state.up else min(delay * 2, MOST_DELAY)
                self._lose(error)
            await asyncio.sleep(delay)

    async def _session(self) -> None:
        # First what is published from now on, then what stands: nothing falls between the two.
        async with self._board.subscription() as subscription:
            await self._flush()
            await self._read()
            self._find_back()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(subscription))
                group.create_task(self._speak())

    async def _listen(self, subscription: Subscription) -> None:
        while True:
            self._hear(decode(await subscription.next()))

    async def _speak(self) -> None:
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
        """Send what waits, or just see how Redis is."""
        began, words = self._now(), self._outbox.waiting()
        if words:
            await self._board.write(words, began)
            self._outbox.sent(words)
        else:
            await self._board.ping()
        self.state = Link(self.state.up, self.state.since, self._now() - began)

    async def _read(self) -> None:
        self._reading = False
        for age, message in await self._board.read():
            self._hear(stands(age, message))

    def _hear(self, news: News | None) -> None:
        if news is None:
            self.malformed += 1
            self._debug(f"Another replica's word on a breaker makes no sense, {self.malformed} until now.")
            return
        breaker = None if news.origin == self._origin else self._find(news.key)
        if breaker is not None:
            now = self._now()
            breaker.apply_remote(news.event, now, now - news.age, news.why, news.endpoint, news.cooldown)

    # -- and when it is not ------------------------------------------------------------------------

    def _find_back(self) -> None:
        self.state = Link(True, self._wall(), self.state.latency)
        self._tried.set()
        if self._lost:
            self._lost = False
            self._info("Redis is back: replicas tell each other about breakers again.")

    def _lose(self, error: Exception) -> None:
        if self.state.up or not self._lost:
            self.state = Link(False, self._wall())
        self._tried.set()
        if not self._lost:
            self._lost = True
            self._warn(f"Redis is away, so that replicas do not learn of each other's breakers: {_told(error)}.")


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
