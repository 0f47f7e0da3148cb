"""What becomes of limits while the store that all share is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Literal, Protocol

from msgspec import Struct

from proxy.errors import Overloaded
from proxy.limits.base import Cost, Limit, Store, Verdict

Policy = Literal["local", "open", "closed"]

# Asked to find out whether the store is back: it takes and writes like any other, and is full again in a millisecond.
_PROBE = Cost(Limit("global", "requestsPerMinute", "probe", 1e6, 1e9), "")
_UNLIMITED = Verdict(True, None, 0.0, 0.0, 0.0)
_MEANWHILE = {
    "local": "every process limits on its own, so limits hold only approximately",
    "open": "nothing is limited",
    "closed": "requests are refused",
}
_REMEMBERED = 20_000  # leases, some 400 bytes each; more than are in flight at once


class StoreDown(Exception):
    """A store cannot be asked; the text says why, for the log. ``sent``: it may have heard the question."""

    def __init__(self, reason: str, *, sent: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent


class SharedStore(Store, Protocol):
    """A store that is reached over a network."""

    async def survey(self, limits: Sequence[Limit], most: int, seconds: float) -> list[list[tuple[str, float]]]:
        """For each limit, the ``most`` keys that have used the largest parts of it. Raises StoreDown."""


class Local(Store, Protocol):
    """A store that answers at once."""

    def take(self, costs: Sequence[Cost], lease: int) -> Verdict: ...


class State(Struct, frozen=True):
    """``since`` is a moment of the clock handed in; ``latency`` is how long the last answer took, in seconds."""

    up: bool
    since: float
    latency: float | None  # none yet
    reason: str  # why it is down; "": it is up


class Failover:
    """Asks ``remote``, and where it is down what the policy says: ``local``, everything admitted, or Overloaded.

    While it is down nobody waits for it: it is probed every ``interval`` seconds, and asked again once it answers.
    """

    def __init__(
        self,
        remote: SharedStore,
        local: Local,
        policy: Policy,
        *,
        warn: Callable[[str], object],
        info: Callable[[str], object],
        now: Callable[[], float],
        interval: float = 1.0,
    ) -> None:
        self._remote = remote
        self._local = local
        self._policy = policy
        self._warn = warn
        self._info = info
        self._now = now
        self._interval = interval
        self._since = now()
        self._latency: float | None = None
        self._reason = ""
        self._probing: asyncio.Task[None] | None = None
        self._closed = False
        # The buckets of which a lease has taken elsewhere: what becomes of them is not told to the remote store.
        self._elsewhere: dict[int, set[tuple[str, str]]] = {}

    @property
    def state(self) -> State:
        return State(not self._reason, self._since, self._latency, self._reason)

    async def start(self) -> None:
        """Ask once, so that a store that is away from the beginning is told of before a client finds out."""
        try:
            await self._asked([_PROBE], 0)
        except StoreDown as down:
            self._lost(str(down))

    # -- as a Store -------------------------------------------------------------------------------

    def take(self, costs: Sequence[Cost], lease: int) -> Verdict | Awaitable[Verdict]:
        """Raises Overloaded where the store is down and the policy ``closed``; never StoreDown."""
        if self._reason:
            return self._instead(costs, lease)
        return self._ask(costs, lease)

    def settle(self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int) -> None:
        elsewhere = self._elsewhere.get(lease)
        if elsewhere is None:
            self._remote.settle(corrections, slots, lease)
            return
        there = [cost for cost in corrections if _bucket(cost) in elsewhere]
        here = [cost for cost in corrections if _bucket(cost) not in elsewhere]
        # A slot goes to both: it is none to the store of which the lease does not hold it.
        self._remote.settle(here, slots, lease)
        if self._policy == "local":
            self._local.settle(there, slots, lease)

    async def survey(self, limits: Sequence[Limit], most: int, seconds: float) -> list[list[tuple[str, float]]]:
        """Raises StoreDown, after ``seconds`` at the latest."""
        return await self._remote.survey(limits, most, seconds)

    async def close(self) -> None:
        self._closed = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        await self._remote.close()
        await self._local.close()

    # -- while it is up ---------------------------------------------------------------------------

    async def _ask(self, costs: Sequence[Cost], lease: int) -> Verdict:
        try:
            verdict = await self._asked(costs, lease)
        except StoreDown as down:
            self._lost(str(down))
            return self._instead(costs, lease)
        if self._elsewhere and verdict.admitted and lease in self._elsewhere:
            self._elsewhere[lease].difference_update(map(_bucket, costs))
        return verdict

    async def _asked(self, costs: Sequence[Cost], lease: int) -> Verdict:
        began = self._now()
        answer = self._remote.take(costs, lease)
        verdict = await answer if isawaitable(answer) else answer
        self._latency = self._now() - began
        return verdict

    # -- while it is down -------------------------------------------------------------------------

    def _lost(self, reason: str) -> None:
        if self._reason or self._closed:
            return  # told already, by another that asked at the same time
        self._reason, self._since = reason or "no reason given", self._now()
        self._warn(f"the store of limits is down ({self._reason}): until it is back {_MEANWHILE[self._policy]}")
        self._probing = asyncio.get_running_loop().create_task(self._probe(), name="probe of the store of limits")

    def _instead(self, costs: Sequence[Cost], lease: int) -> Verdict:
        if self._policy == "closed":
            raise Overloaded("Rate limits cannot be checked at the moment.", code="limiter_unavailable")
        verdict = self._local.take(costs, lease) if self._policy == "local" else _UNLIMITED
        if verdict.admitted:
            self._remember(costs, lease)
        return verdict

    def _remember(self, costs: Sequence[Cost], lease: int) -> None:
        if len(self._elsewhere) >= _REMEMBERED and lease not in self._elsewhere:
            del self._elsewhere[next(iter(self._elsewhere))]
        self._elsewhere.setdefault(lease, set()).update(map(_bucket, costs))

    async def _probe(self) -> None:
        while self._reason:
            await asyncio.sleep(self._interval)
            try:
                await self._asked([_PROBE], 0)
            except StoreDown as down:
                self._reason = str(down) or self._reason
            else:
                self._found()

    def _found(self) -> None:
        now = self._now()
        self._info(f"the store of limits is back after {now - self._since:.1f} s")
        self._reason, self._since = "", now


def _bucket(cost: Cost) -> tuple[str, str]:
    return cost.limit.name, cost.key
