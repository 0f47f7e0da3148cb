"""The six clocks of an attempt, and its pings, driven by one ticking timer.

Nothing is scheduled per token, and no timer is created per request: in uvloop a timer costs more than all other
bookkeeping. A watch has the time at which it is next due, and the ticker checks all watches every ``TICK``. A clock
therefore expires up to ``TICK`` late, never early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from msgspec import structs

from proxy.config.timeouts import Clocks

NEVER = float("inf")
TICK = 0.05


class Subject(Protocol):
    """What a watch observes. ``last_read``: when bytes were last read from the provider."""

    last_read: float

    @property
    def unsent(self) -> int:
        """Bytes that the client did not take yet."""


class Watched(Protocol):
    """``look`` is called once ``due`` has passed."""

    @property
    def due(self) -> float: ...
    def look(self, now: float) -> None: ...


class Ticker:
    """Calls ``look`` of each member that is due. The timer runs only while there are members.

    ``add`` and ``discard`` are called for every request. While the timer runs, both are methods of a set.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.time = loop.time
        self._loop = loop
        self._watches: set[Watched] = set()
        self.add: Callable[[Watched], None] = self._start
        self.discard: Callable[[Watched], None] = self._watches.discard

    def __len__(self) -> int:
        return len(self._watches)

    def _start(self, first: Watched) -> None:
        self._watches.add(first)
        self._loop.call_later(TICK, self._tick)
        self.add = self._watches.add

    def _tick(self) -> None:
        now = self._loop.time()
        try:
            for watch in [watch for watch in self._watches if watch.due <= now]:
                watch.look(now)
        finally:  # a failure of one must not stop the clocks of the others
            if self._watches:
                self._loop.call_later(TICK, self._tick)
            else:
                self.add = self._start


class Watch:
    """Runs the clocks from ``begun``, or from now, until ``stop``. Calls ``expired(name, seconds)`` at most once."""

    __slots__ = (
        "_clocks",
        "_committed",
        "_deadline",
        "_expired",
        "_head_seen",
        "_next_ping",
        "_paused_at",
        "_ping",
        "_ping_every",
        "_subject",
        "_ticker",
        "_unsent",
        "begun",
        "due",
    )

    def __init__(
        self,
        ticker: Ticker,
        clocks: Clocks,
        subject: Subject,
        expired: Callable[[str, float], None],
        begun: float | None = None,
    ) -> None:
        self._ticker = ticker
        self._clocks = clocks
        self._subject = subject
        self._expired = expired
        self.begun = ticker.time() if begun is None else begun
        self._head_seen = False
        self._committed = False
        self._paused_at: float | None = None
        self._unsent = 0
        self._ping: Callable[[], None] | None = None
        self._ping_every = 0.0
        self._next_ping = NEVER
        self._deadline = NEVER
        self.due = self.begun  # the first look works out the real time
        ticker.add(self)

    def __repr__(self) -> str:
        return f"<Watch {'paused ' if self._paused_at is not None else ''}due {self.due}>"

    def ping_with(self, ping: Callable[[], None], first: float, every: float) -> None:
        """Call ``ping`` at the time ``first``, and then after each silence of ``every`` seconds."""
        self._ping = ping
        self._ping_every = every
        self._next_ping = first
        self.due = self.begun

    def commit_before(self, deadline: float) -> None:
        """Let the clock named deadline expire at that time, unless ``committed`` was called."""
        self._deadline = deadline
        self.due = self.begun

    def head_seen(self) -> None:
        """The response head was read: start the idle clock, stop the headers clock."""
        self._head_seen = True
        self.due = self.begun

    def committed(self) -> None:
        """The content commit: stop the first-content clock."""
        self._committed = True

    def pause(self) -> None:
        """Reading is paused: only the client stall clock runs."""
        self._paused_at = self._ticker.time()
        self._unsent = self._subject.unsent
        self.due = self.begun

    def resume(self) -> None:
        """Reading is resumed: the clocks continue where they stopped."""
        if self._paused_at is not None:
            self._shift(self._ticker.time() - self._paused_at)
            self._paused_at = None
            self.due = self.begun

    def bound(self, seconds: float) -> None:
        """The content is complete: the rest must end within ``seconds``. The client stall clock stays."""
        stall = self._clocks.client_stall
        self._deadline = NEVER
        self._clocks = Clocks(connect=0.0, headers=0.0, first_content=0.0, idle=0.0, total=seconds, client_stall=stall)
        self.begun = self.due = self._ticker.time()
        self._ping = None

    def read_on(self, seconds: float) -> None:
        """The client disconnected: the answer must end within ``seconds``, and within the provider's clocks."""
        clocks, total = self._clocks, self._ticker.time() - self.begun + seconds
        self._clocks = structs.replace(clocks, total=min(clocks.total or total, total))
        self._deadline = NEVER
        self._ping = None
        self.due = self.begun

    def waited(self) -> float:
        """Elapsed share of the clock that waits for the provider's next event, 0 to 1; 0 while reading is paused."""
        clocks, now = self._clocks, self._ticker.time()
        if self._paused_at is not None:
            return 0.0
        if clocks.first_content and not self._committed:
            return (now - self.begun) / clocks.first_content
        if clocks.idle and self._head_seen:
            return (now - self._subject.last_read) / clocks.idle
        # A plain answer has no other clock until its head is read.
        return (now - self.begun) / clocks.total if clocks.total and not self._head_seen else 0.0

    def stop(self) -> None:
        self._ticker.discard(self)

    def look(self, now: float) -> None:
        """Expire a clock, send a ping, or only work out when to look next."""
        if self._paused_at is not None and self._subject.unsent < self._unsent:
            # The client takes bytes, however slowly.
            self._unsent = self._subject.unsent
            self._shift(now - self._paused_at)
            self._paused_at = now
        moment, name, seconds = self._next_clock()
        if moment <= now:
            self.stop()
            self._expired(name, seconds)
            return
        if self._ping is not None and self._ping_moment() <= now:
            self._next_ping = now + self._ping_every
            self._ping()
        self.due = min(moment, self._ping_moment())

    def _shift(self, waited: float) -> None:
        self.begun += waited
        self._subject.last_read += waited

    def _next_clock(self) -> tuple[float, str, float]:
        """(time, name, seconds) of the clock that expires first."""
        clocks = self._clocks
        if self._paused_at is not None:
            stall = clocks.client_stall
            return (self._paused_at + stall, "clientStall", stall) if stall else (NEVER, "", 0.0)
        first = (NEVER, "", 0.0)
        if clocks.total:
            first = (self.begun + clocks.total, "total", clocks.total)
        if self._deadline < NEVER and not self._committed:
            first = min(first, (self._deadline, "deadline", max(self._deadline - self.begun, 0.0)))
        if clocks.headers and not self._head_seen:
            first = min(first, (self.begun + clocks.headers, "headers", clocks.headers))
        if clocks.first_content and not self._committed:
            first = min(first, (self.begun + clocks.first_content, "firstContent", clocks.first_content))
        if clocks.idle and self._head_seen:
            first = min(first, (self._subject.last_read + clocks.idle, "idle", clocks.idle))
        return first

    def _ping_moment(self) -> float:
        if self._ping is None or self._paused_at is not None:
            return NEVER
        if not self._committed:
            return self._next_ping
        return max(self._next_ping, self._subject.last_read + self._ping_every)
