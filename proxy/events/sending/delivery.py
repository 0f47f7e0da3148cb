"""The loop of one receiver: hold it, take events, send them, settle what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from msgspec import Struct

from proxy.events.outbox.base import EventOutbox, FailedTry, OutboxUnavailable, Settlement
from proxy.events.sending.base import EventLog, EventSender, RefusedEvent, SendOutcome
from proxy.events.sending.health import ReceiverHealth
from proxy.events.sending.hold import ReceiverHold

LOOK_SECS: Final = 5.0  # between two looks whether another process still has it
POLL_SECS: Final = 1.0  # between two looks for events of other processes
FIRST_PAUSE: Final = 0.1  # seconds, without the outbox; twice as long after each failure
LONGEST_PAUSE: Final = 5.0
FEWEST_TRIES: Final = 8  # of an event before it is given up: some minutes
GIVE_UP_EVERY: Final = 60.0
RELEASE_SECS: Final = 1.0


class DeliveryClocks(Struct, frozen=True):
    """``wall`` is Unix time, ``now`` monotonic."""

    wall: Callable[[], float]
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class EventDelivery:
    """Sends the events of one receiver. ``holder`` names this process among those that use the outbox.

    A receiver may get an event again, under the same id: after a crash, or if it is not certain that it got it.
    """

    def __init__(
        self,
        receiver: str,
        outbox: EventOutbox,
        sender: EventSender,
        holder: str,
        clocks: DeliveryClocks,
        log: EventLog,
    ) -> None:
        self.receiver = receiver
        self.health = ReceiverHealth(receiver, sender.noun, log, clocks.now, clocks.wall)
        self.sent = 0
        """Events, by this process."""
        self.failures = 0
        """Tries of an event, or of several at once, by this process."""
        self.hold = ReceiverHold(receiver, holder, outbox, self._held_anew, clocks.now)
        self.outbox_error = ""
        """Why the outbox cannot be used; ``""``: it can."""
        self.empty_at = -inf
        """Monotonic: when no event waited."""
        self.progress_at = -inf
        """Monotonic: the last event that was sent."""
        self._outbox = outbox
        self._sender = sender
        self._clocks = clocks
        self._log = log
        self._unsettled: Settlement | None = None  # the outbox was not available
        self._gone = False
        self._gave_up_at = -inf
        self._pause = FIRST_PAUSE
        self._wakes = False  # a new event may end the pause
        self._steps = False  # a step is under way
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()

    def __repr__(self) -> str:
        return f"<EventDelivery {self.receiver}>"

    def wake(self) -> None:
        """There may be events."""
        self._woken.set()

    async def run(self) -> None:
        """Until it is canceled, or has ended the step in which ``close`` was called."""
        renewing = asyncio.create_task(self.hold.keep(self._clocks.sleep))
        try:
            while not self._closing:
                self._steps = True
                seconds = await self.step()
                self._steps = False
                if self._wakes and seconds:
                    await self._wait(seconds)
                else:
                    await self._clocks.sleep(seconds)
        finally:
            renewing.cancel()

    def start(self) -> None:
        self._task = asyncio.create_task(self.run(), name=f"events for {self.receiver}")

    async def close(self, seconds: float) -> None:
        """Let it send and settle what it has begun, for so many seconds. Another process may go on then."""
        self._closing = True
        task = self._task
        if task is not None:
            if self._steps:
                await asyncio.wait((task,), timeout=seconds)
            task.cancel()
            await asyncio.wait((task,))
        try:
            async with asyncio.timeout(RELEASE_SECS):
                await self._release()
        except (OutboxUnavailable, TimeoutError):
            pass  # the hold ends by itself

    async def _release(self) -> None:
        if self._unsettled is not None:
            await self._settle(self._unsettled)
        await self.hold.release()

    async def step(self) -> float:
        """Send some events. Returns the seconds to wait before the next step."""
        self._wakes = False
        try:
            seconds = await self._step()
        except OutboxUnavailable as error:
            self.outbox_error = str(error)
            seconds, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
            return seconds
        except Exception as error:  # a defect of one receiver must not end the others
            self._failed(repr(error))
            return max(self._sender.pause(self.health.failures, None), POLL_SECS)
        self.outbox_error, self._pause = "", FIRST_PAUSE
        return seconds

    async def _step(self) -> float:
        if self._unsettled is not None:
            await self._settle(self._unsettled)
        if not await self.hold.check():
            return LOOK_SECS
        self._woken.clear()
        now = self._clocks.wall()
        if self._gone:
            await self._outbox.give_up(self.receiver, now, inf, self.health.error)
            return self._idle()
        events = await self._outbox.take(self.receiver, now, self._sender.most)
        if not events:
            if not await self._outbox.take(self.receiver, inf, 1):
                self.empty_at = self._clocks.now()
            return self._idle()
        if self._sender.probes and self.health.failing:
            # Not the one that failed, if there are others: another one shows whose fault it is.
            events = [min(events, key=lambda each: each.tries)]
        return await self._done(await self._sender.send(events))

    # -- what came of it ----------------------------------------------------------------------------

    async def _done(self, outcome: SendOutcome) -> float:
        """Returns the seconds to wait."""
        now = self._clocks.wall()
        failed = [self._failed_try(each, now, outcome.retry_after) for each in outcome.refused]
        error = outcome.error or (failed[-1].error if failed else "")
        if outcome.sent:
            self.sent += len(outcome.sent)
            self.progress_at = self._clocks.now()
            self.health.answered()
        if error:
            self._failed(error, max(len(failed), 1))
        await self._settle(Settlement(now, outcome.sent, failed, error))
        if dead := sum(each.due is None for each in failed):
            self._tell_given_up(dead, error)
        if outcome.gone:
            await self._stop(now)
        if outcome.gone or not error:
            return 0.0
        await self._give_up_old(now, error)
        return self._sender.pause(self.health.failures, outcome.retry_after)

    def _failed_try(self, refused: RefusedEvent, now: float, retry_after: float | None) -> FailedTry:
        event, tries = refused.event, refused.event.tries + 1
        # An event may come into the outbox days after it happened, when a database is back.
        if now - event.at >= self._sender.give_up_secs and tries >= FEWEST_TRIES:
            return FailedTry(event.seq, None, refused.error)
        return FailedTry(event.seq, now + self._sender.later(tries, retry_after), refused.error)

    def _failed(self, why: str, count: int = 1) -> None:
        self.failures += count
        self.health.failed(why)

    async def _settle(self, settlement: Settlement) -> None:
        """What was sent is not sent again only because the outbox was not available for a moment."""
        self._unsettled = settlement
        if settlement:
            await self._outbox.settle(self.receiver, settlement)
        self._unsettled = None

    async def _give_up_old(self, now: float, error: str) -> None:
        """A receiver that fails for a day is tried seldom: its old events would never all get their tries."""
        secs = self._sender.give_up_secs
        if self.health.failing_secs < secs or now - self._gave_up_at < GIVE_UP_EVERY:
            return
        self._gave_up_at = now
        if count := await self._outbox.give_up(self.receiver, now, now - secs, error):
            self._tell_given_up(count, error)

    def _tell_given_up(self, count: int, error: str) -> None:
        text = "Events were given up. `sluice events dead` shows them."
        self._log.warning(text, receiver=self.receiver, events=count, why=error)

    async def _stop(self, now: float) -> None:
        """Send nothing more. Its events are dead; they can be sent again when its address is another one."""
        self._gone = True
        self.health.gone()
        await self._outbox.gone(self.receiver, now)

    async def _held_anew(self) -> None:
        if not self._gone:
            await self._outbox.gone(self.receiver, None)  # this process is new to it

    def _idle(self) -> float:
        self._wakes = True
        return POLL_SECS

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
