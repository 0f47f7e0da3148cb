"""A receiver is sent to by one process at a time: the one that holds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from proxy.events.outbox.base import EventOutbox, OutboxUnavailable

HOLD_SECS: Final = 30.0  # then another process may send to a receiver that this one had
RENEW_SECS: Final = 10.0


class ReceiverHold:
    """``holder`` names this process. ``on_new`` is called each time it gets the receiver. ``now`` is monotonic."""

    def __init__(
        self,
        receiver: str,
        holder: str,
        outbox: EventOutbox,
        on_new: Callable[[], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self.held = False
        """This process is the one that sends to it."""
        self.looked_at = -inf
        """Monotonic: the last answer of the outbox."""
        self._receiver = receiver
        self._holder = holder
        self._outbox = outbox
        self._on_new = on_new
        self._now = now

    async def check(self) -> bool:
        """Whether it is held; asks the outbox when that is due. Raises OutboxUnavailable."""
        if self._now() - self.looked_at >= (RENEW_SECS if self.held else 0.0):
            await self.renew()
        return self.held

    async def renew(self) -> None:
        """Raises OutboxUnavailable."""
        had = self.held
        self.held = await self._outbox.hold(self._receiver, self._holder, HOLD_SECS)
        self.looked_at = self._now()
        if self.held and not had:
            await self._on_new()

    async def keep(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """While events are sent, which may take long. Until it is canceled."""
        while True:
            await sleep(RENEW_SECS)
            try:
                if self.held:
                    await self.renew()
            except OutboxUnavailable:
                pass  # the next step finds out, too

    async def release(self) -> None:
        """Let another process have it. Raises OutboxUnavailable."""
        if self.held:
            self.held = False
            await self._outbox.release(self._receiver, self._holder)
