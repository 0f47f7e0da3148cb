"""Results of checks between replicas: the one that has the lease checks and publishes, the others apply.

A replica checks for itself what the others do not: every address while the store does not answer, and one of which no
result has come for too long. So no failure of Redis or the database ends the checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from proxy.caches import LruCache
from proxy.fleet.lease.lease import Lease, end
from proxy.observe.log import Log
from proxy.services.health.address import CheckedAddress, CheckResult, Key
from proxy.services.health.board.base import PORTION, HealthBoard, SharedResult

SHARE_SECS: Final = 1.0  # between two looks at the board, or two publications
REPEAT_SECS: Final = 20.0  # then a result that stays the same is published again
MOST_EARLY: Final = 10_000
CLOSE_SECS: Final = 2.0


class CheckedAddresses(Protocol):
    """``HealthChecker``."""

    def find(self, service: str, url: str) -> CheckedAddress | None: ...

    def note(self, address: CheckedAddress, healthy: bool | None, why: str, at: float | None = None) -> None: ...


class HealthSharing:
    """``board`` ``None``: this process is alone. ``now`` and ``wall`` are those of the checker."""

    def __init__(
        self, lease: Lease, board: HealthBoard | None, log: Log, *, now: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._lease = lease
        self._board = board
        self._log = log
        self._now = now
        self._wall = wall
        self._waiting: dict[Key, CheckedAddress] = {}  # to be published
        self._early: LruCache[Key, tuple[float, SharedResult]] = LruCache(MOST_EARLY)  # of addresses not known here
        self._failing = False
        self._stopping = asyncio.Event()
        self._addresses: CheckedAddresses | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def checks(self) -> bool:
        """Whether this process is the one that checks."""
        return self._lease.held

    async def start(self, addresses: CheckedAddresses) -> None:
        """Find out who checks, and what is known."""
        self._addresses = addresses
        await self._lease.start()
        if self._board is not None:
            await self.share()
            self._task = asyncio.create_task(self._run(), name="health of addresses between replicas")

    async def close(self) -> None:
        """Publish what waits, and let another replica check."""
        if self._task is not None:
            self._stopping.set()
            await end(self._task, CLOSE_SECS)
            self._task = None
            await self.share()
        await self._lease.close()

    # -- for the checker ---------------------------------------------------------------------------------

    def leaves(self, address: CheckedAddress, now: float) -> bool:
        """Whether another replica checks the address."""
        return now < address.elsewhere_until and not self._lease.held and not self._lease.error

    def joined(self, address: CheckedAddress) -> None:
        """Apply a result that came before the address."""
        found = self._early.get(address.key)
        if found is not None:
            at, result = found
            self._apply_to(address, result, result.age + self._now() - at)

    def checked(self, address: CheckedAddress) -> None:
        """Publish it soon, if this process is the one that checks."""
        if self._board is None or not self._lease.held:
            return
        if address.live.healthy != address.published or self._now() >= address.published_at + REPEAT_SECS:
            self._waiting[address.key] = address

    # -- the board -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SHARE_SECS):
                    await self._stopping.wait()
                return
            except TimeoutError:
                await self.share()

    async def share(self) -> None:
        """Publish what waits, or apply what is new."""
        assert self._board is not None
        try:
            if self._lease.held:
                await self._publish(self._board)
            elif not self._lease.error:
                self._waiting.clear()
                await self._read(self._board)
        except Exception as error:  # of any kind: requests must not be affected
            if not self._failing:
                self._failing = True
                why = str(error) or type(error).__name__
                self._log.warning("Replicas do not share the health of addresses; each checks for itself.", why=why)
        else:
            if self._failing:
                self._failing = False
                self._log.info("Replicas share the health of addresses again.")

    async def _publish(self, board: HealthBoard) -> None:
        while self._waiting and self._lease.held:
            portion = list(self._waiting.items())[:PORTION]
            results = {key: _result_of(each) for key, each in portion if not each.gone}
            await board.publish(list(results.values()))
            now = self._now()
            for key, each in portion:
                result = results.get(key)
                if result is not None:
                    each.published, each.published_at = result.healthy, now
                # Unless it changed meanwhile, or another one took its place.
                if self._waiting[key] is each and (result is None or each.live.healthy == result.healthy):
                    del self._waiting[key]

    async def _read(self, board: HealthBoard) -> None:
        while True:
            results = await board.read()
            for each in results:
                self._apply(each)
            if len(results) < PORTION or self._lease.held:
                return

    def _apply(self, result: SharedResult) -> None:
        assert self._addresses is not None
        address = self._addresses.find(result.service, result.url)
        if address is None:
            self._early.put((result.service, result.url), (self._now(), result))
        else:
            self._apply_to(address, result, result.age)

    def _apply_to(self, address: CheckedAddress, result: SharedResult, age: float) -> None:
        assert self._addresses is not None
        left = address.fresh_secs - age
        if left <= 0:
            return
        address.elsewhere_until = self._now() + left
        address.last = CheckResult(not result.why, self._wall() - age, None, result.why)
        address.streak = 0
        self._addresses.note(address, result.healthy, result.why, result.since)


def _result_of(address: CheckedAddress) -> SharedResult:
    live, last = address.live, address.last
    since = address.history.since
    return SharedResult(
        live.service,
        live.url,
        live.healthy is not False,
        0.0 if since is None else round(since, 3),
        "" if last is None else last.why,
    )
