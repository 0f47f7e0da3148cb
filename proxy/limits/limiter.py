"""The limiter middleware: before the body is read, a request takes from the global and its client's buckets.

``Reservation`` takes what depends on the call later: buckets of models and providers, and tokens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

from proxy.limits.base import Limit, Store, Verdict
from proxy.limits.failover import Failover, StoreState
from proxy.limits.reservation import Reservation
from proxy.limits.rules import Rules
from proxy.limits.snapshot import LimiterSnapshot, Tally
from proxy.responder import Responder

Handler = Callable[[Responder], Awaitable[None]]


class Limiter:
    """Makes the middleware (``wrap``). ``adopt`` replaces the rules and keeps the buckets."""

    def __init__(self, store: Store, rules: Rules, wall: Callable[[], float], tally: Tally) -> None:
        self.store = store
        self._wall = wall
        self._tally = tally
        self._leases = count(1)
        self.adopt(rules)

    def adopt(self, rules: Rules) -> None:
        """Apply new rules to exchanges that begin from now on."""
        self.rules = rules
        self._snapshot: LimiterSnapshot | None = None  # None: nothing is limited
        self._only_own = not rules.enabled  # only clients with limits of their own are limited
        if not rules.inactive:
            self._snapshot = LimiterSnapshot(rules, self.store, self._leases, self._wall, self._tally)

    @property
    def state(self) -> StoreState | None:
        """State of a shared store; ``None``: the store is in this process."""
        return self.store.state if isinstance(self.store, Failover) else None

    async def start(self) -> None:
        """Probe a shared store once, so that an outage is logged before the first request."""
        if isinstance(self.store, Failover):
            await self.store.start()

    def own_limits(self) -> dict[tuple[str, str], Limit]:
        """``LimiterSnapshot.own_limits`` of the current rules."""
        return {} if self._snapshot is None else self._snapshot.own_limits()

    def wrap(self, handler: Handler) -> Handler:
        # Not a coroutine function, since a store in memory answers at once.
        def limited(responder: Responder) -> Awaitable[None]:
            snapshot = self._snapshot
            if snapshot is None:
                return handler(responder)
            exchange = responder.exchange
            client = exchange.caller
            if self._only_own and (client is None or client.limits is None):
                return handler(responder)
            prepared = snapshot.client_costs(client)  # before ``has_slots``, which it may set
            lease = next(snapshot.leases) if snapshot.rules.has_slots else 0
            answer = snapshot.prepared_store.grant(prepared, lease)
            if isinstance(answer, tuple):
                exchange.reservation = Reservation(snapshot, client, exchange.attempts, lease, prepared.costs, answer)
                return handler(responder)
            reservation = exchange.reservation = Reservation(snapshot, client, exchange.attempts, lease, prepared.costs)
            if not isinstance(answer, Verdict):
                return _wait(responder, handler, reservation, answer)
            reservation.begin(answer)
            return handler(responder)

        return limited

    async def close(self) -> None:
        await self.store.close()


async def _wait(responder: Responder, handler: Handler, reservation: Reservation, verdict: Awaitable[Verdict]) -> None:
    reservation.begin(await verdict)
    await handler(responder)
