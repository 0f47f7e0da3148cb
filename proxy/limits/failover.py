"""Failover of rate limits while the shared store is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Literal, Protocol

from msgspec import Struct

from proxy.budgets.base import Charge, Wants, hold
from proxy.caches import LruCache
from proxy.errors import Overloaded
from proxy.limits.base import Cost, Limit, Store, Verdict

Policy = Literal["local", "open", "closed"]

# Health probe of the store: a normal take, from a bucket that is full again within a millisecond.
_PROBE = Cost(Limit("global", "requestsPerMinute", "probe", 1e6, 1e9), "")
_UNLIMITED = Verdict(True, None, 0.0, 0.0, 0.0)
_MEANWHILE = {
    "local": "each process limits on its own, so limits are approximate",
    "open": "requests are not limited",
    "closed": "requests are refused",
}
_MEANWHILE_BUDGETS = {
    "local": "each process counts its own spend, and what it last knew of the others",
    "open": "budgets refuse nothing",
    "closed": "requests with a budget are refused",
}
_MOST_LEASES = 20_000  # some 400 bytes each; more than are in flight at once


class StoreDown(Exception):
    """A store is unavailable; the text is the reason, for the log. ``sent``: the request may have been processed."""

    def __init__(self, reason: str, *, sent: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent


class BudgetsUnknown(StoreDown):
    """The store is there, but not what was spent of a budget."""


class SharedStore(Store, Protocol):
    """A store that is reached over a network."""

    async def survey(self, limits: Sequence[Limit], most: int, seconds: float) -> list[list[tuple[str, float]]]:
        """For each limit, the ``most`` keys with the highest usage. Raises StoreDown."""


class LocalStore(Store, Protocol):
    """A store that never waits."""

    def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict: ...


class StoreState(Struct, frozen=True):
    """State of the shared store. ``since``: time of the last change; ``latency``: seconds of the last reply."""

    up: bool
    since: float
    latency: float | None  # None: no reply yet
    reason: str  # why it is down; "": it is up


class Failover:
    """Uses ``remote``. While it is down, applies the policy: use ``local``, admit everything, or raise Overloaded.

    Requests do not wait for a store that is down. It is probed every ``interval`` seconds until it answers.
    """

    def __init__(
        self,
        remote: SharedStore,
        local: LocalStore,
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
        self._unknown = False  # budgets, at the last take with some
        # Buckets from which a lease took during an outage. Their corrections do not go to the remote store.
        self._elsewhere: LruCache[int, set[tuple[str, str]]] = LruCache(_MOST_LEASES)

    @property
    def state(self) -> StoreState:
        return StoreState(not self._reason, self._since, self._latency, self._reason)

    async def start(self) -> None:
        """Probe once, so that a store that is down is logged before the first request."""
        try:
            await self._timed_take([_PROBE], 0)
        except StoreDown as down:
            self._mark_down(str(down))

    # -- as a Store -------------------------------------------------------------------------------

    def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict | Awaitable[Verdict]:
        """Raises Overloaded if the store is down, or budgets are not known, and the policy is ``closed``.

        Never raises StoreDown.
        """
        if self._reason:
            return self._take_elsewhere(costs, lease, wants)
        return self._take_remote(costs, lease, wants)

    def settle(
        self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int, charges: Sequence[Charge] = ()
    ) -> None:
        elsewhere = self._elsewhere.get(lease)
        if elsewhere is None:
            self._remote.settle(corrections, slots, lease, charges)
            return
        local = [cost for cost in corrections if _bucket(cost) in elsewhere]
        remote = [cost for cost in corrections if _bucket(cost) not in elsewhere]
        # Slots are released in both stores: the one where the lease holds none ignores them.
        self._remote.settle(remote, slots, lease, charges)
        if self._policy == "local":
            self._local.settle(local, slots, lease)

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

    async def _take_remote(self, costs: Sequence[Cost], lease: int, wants: Wants) -> Verdict:
        try:
            verdict = await self._timed_take(costs, lease, wants)
        except BudgetsUnknown as unknown:
            self._mark_unknown(str(unknown))
            if self._policy == "closed":
                raise Overloaded(
                    "What was spent of a budget cannot be read. Try again later.", code="budgets_unavailable"
                ) from None
            return self._take_elsewhere(costs, lease, wants)
        except StoreDown as down:
            self._mark_down(str(down))
            return self._take_elsewhere(costs, lease, wants)
        if self._elsewhere and verdict.admitted and (taken := self._elsewhere.get(lease)) is not None:
            taken.difference_update(map(_bucket, costs))
        if self._unknown and wants:
            self._unknown = False
            self._info("Budgets are counted over all processes again.")
        return verdict

    async def _timed_take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict:
        began = self._now()
        answer = self._remote.take(costs, lease, wants)
        verdict = await answer if isawaitable(answer) else answer
        self._latency = self._now() - began
        return verdict

    # -- while it is down -------------------------------------------------------------------------

    def _mark_down(self, reason: str) -> None:
        if self._reason or self._closed:
            return  # another request has reported it already
        self._reason, self._since = reason or "no reason given", self._now()
        self._warn(f"The rate limit store is down ({self._reason}). Until it is back, {_MEANWHILE[self._policy]}.")
        self._probing = asyncio.get_running_loop().create_task(self._probe(), name="rate limit store probe")

    def _mark_unknown(self, reason: str) -> None:
        if not self._unknown and not self._closed:
            self._unknown = True
            self._warn(
                f"What all processes spent of the budgets is {reason}."
                f" Until it is known, {_MEANWHILE_BUDGETS[self._policy]}."
            )

    def _take_elsewhere(self, costs: Sequence[Cost], lease: int, wants: Wants) -> Verdict:
        if self._policy == "closed":
            raise Overloaded("The rate limit store is unavailable. Try again later.", code="limiter_unavailable")
        if self._policy == "local":
            verdict = self._local.take(costs, lease, wants)
        else:
            verdict = _UNLIMITED
            hold(wants)
        if verdict.admitted:
            self._remember(costs, lease)
            if wants:  # so that other processes count what is held here, when the store is back
                self._remote.settle((), (), lease, [(counter, 0, 0) for counter, _ in wants])
        return verdict

    def _remember(self, costs: Sequence[Cost], lease: int) -> None:
        taken = self._elsewhere.get(lease)
        if taken is None:
            taken = set()
            self._elsewhere.put(lease, taken)
        taken.update(map(_bucket, costs))

    async def _probe(self) -> None:
        while self._reason:
            await asyncio.sleep(self._interval)
            try:
                await self._timed_take([_PROBE], 0)
            except StoreDown as down:
                self._reason = str(down) or self._reason
            else:
                self._mark_up()

    def _mark_up(self) -> None:
        now = self._now()
        self._info(f"The rate limit store is back after {now - self._since:.1f} s.")
        self._reason, self._since = "", now


def _bucket(cost: Cost) -> tuple[str, str]:
    return cost.limit.name, cost.key
