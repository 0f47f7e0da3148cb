"""One lease: taken and renewed while this process runs, and given up in time where that fails."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from math import inf
from typing import Final

from proxy.fleet.lease.base import LeaseStore
from proxy.observe.log import Log

LEASE_SECS: Final = 15.0
RENEWALS: Final = 3  # within the length of a lease
USED: Final = 0.9  # share of its length for which it is relied on: no two clocks run alike
RELEASE_SECS: Final = 2.0


def uptime() -> float:
    """Seconds of a monotonic clock. On Linux it runs on while the machine sleeps, as clocks elsewhere do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """Whether this process is the one of the fleet that does what ``name`` says. ``now`` is monotonic.

    ``held`` ends before the lease does, as its time counts from before the request for it. So no two processes rely on
    it at once, as long as the store keeps it and its clock is not set. Otherwise two do so for less than ``secs``:
    until the first one renews, or cannot. What was begun while it was held may run on.
    """

    def __init__(
        self,
        store: LeaseStore,
        name: str,
        log: Log,
        *,
        secs: float = LEASE_SECS,
        now: Callable[[], float] = uptime,
    ) -> None:
        self._store = store
        self._name = name
        self._log = log
        self._secs = secs
        self._now = now
        self._holder = secrets.token_hex(8)
        self._ends = -inf
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.error = ""
        """Why the store did not answer the last time; ``""``: it did. Others may hold the lease, or nobody."""

    def __repr__(self) -> str:
        return f"<Lease {self._name}{' held' if self.held else ''}>"

    @property
    def held(self) -> bool:
        return self._now() < self._ends

    async def start(self) -> None:
        """Try once, then go on in the background."""
        await self.renew()
        self._task = asyncio.create_task(self._run(), name=f"lease {self._name}")

    async def close(self) -> None:
        """Release it, if the store answers, so that another process can take it at once."""
        if self._task is None:
            return
        task, self._task = self._task, None
        self._stopping.set()
        await end(task, RELEASE_SECS)
        self._ends = -inf
        try:
            async with asyncio.timeout(RELEASE_SECS):
                if not self.error:
                    await self._store.release(self._name, self._holder)
        except Exception as error:  # it expires
            self._log.debug(f"The lease of {self._name} was not released: {error}.")

    async def renew(self) -> None:
        """Take or renew it once."""
        asked = self._now()
        try:
            taken = await self._store.take(self._name, self._holder, self._secs)
        except Exception as error:  # of any kind: it is tried again
            self._failed(str(error) or type(error).__name__)
        else:
            self._ends = asked + USED * self._secs if taken else -inf
            self._answered()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._secs / RENEWALS):
                    await self._stopping.wait()
                return
            except TimeoutError:
                await self.renew()

    def _failed(self, why: str) -> None:
        if not self.error:
            self._log.warning(f"The lease of {self._name} cannot be taken or renewed: {why}.")
        self.error = why

    def _answered(self) -> None:
        if self.error:
            self._log.info(f"The lease of {self._name} can be taken again.")
        self.error = ""


async def end(task: asyncio.Task[None], secs: float) -> None:
    """Let a task end by itself within so many seconds, then cancel it: a canceled query closes its connection."""
    await asyncio.wait((task,), timeout=secs)
    task.cancel()
    await asyncio.wait((task,))
