"""The limiter middleware: before the body is read, a request takes from the global and its client's buckets.

``Reservation`` takes what depends on the call later: buckets of models and providers, tokens, and money.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

from proxy.budgets.book import Book
from proxy.budgets.holds import Holds
from proxy.budgets.rules import BudgetRules
from proxy.budgets.seeding import LedgerSeeds
from proxy.budgets.thresholds import SharedSpend
from proxy.config.schema import Config
from proxy.limits.base import Limit, Store, Verdict
from proxy.limits.failover import Failover, StoreState
from proxy.limits.prepared import NO_COSTS
from proxy.limits.reservation import Reservation
from proxy.limits.rules import Rules
from proxy.limits.shared_budgets import SharedBudgets
from proxy.limits.snapshot import LimiterSnapshot, Tally
from proxy.responder import Responder
from proxy.wire.attribution import BUDGET

Handler = Callable[[Responder], Awaitable[None]]


class Limiter:
    """Makes the middleware (``wrap``). ``adopt`` replaces the rules and keeps the buckets and counters.

    ``snapshot``: the rules in force. ``shared``: the budgets that the store shares with other processes, ``spend``:
    what these know together; ``None``: they share nothing.
    """

    def __init__(
        self,
        store: Store,
        rules: Rules,
        wall: Callable[[], float],
        tally: Tally,
        book: Book | None = None,
        shared: SharedBudgets | None = None,
        spend: SharedSpend | None = None,
    ) -> None:
        self.store = store
        self.spend = spend
        self._shared = shared
        self.book = Book(BudgetRules.of(Config()), "", wall) if book is None else book
        self._wall = wall
        self._tally = tally
        self._leases = count(1)
        self._seeds: LedgerSeeds | None = None
        self.adopt(rules, self.book.rules)

    def adopt(self, rules: Rules, budgets: BudgetRules) -> None:
        """Apply new rules to exchanges that begin from now on."""
        self.rules = rules
        self.book.adopt(budgets)
        self._budgeted = budgets.active
        if budgets.active and self._shared is not None:
            self._shared.join()  # now, as the first process on an empty Redis has to wait for others
        self._only_own = not rules.enabled and not budgets.active  # only clients with limits of their own are limited
        self._idle = rules.inactive and not budgets.active  # only runs that their client caps are limited
        self.snapshot = LimiterSnapshot(rules, self.store, self._leases, self._wall, self._tally)

    @property
    def state(self) -> StoreState | None:
        """State of a shared store; ``None``: the store is in this process."""
        return self.store.state if isinstance(self.store, Failover) else None

    async def start(self) -> None:
        """Probe a shared store once, so that an outage is logged before the first request."""
        if isinstance(self.store, Failover):
            await self.store.start()

    def seed_by(self, seeds: LedgerSeeds | None) -> None:
        """Read from the ledger what was spent of budgets, from now on. ``None``: count from 0."""
        self.book.seeder = self._seeds = seeds
        if seeds is not None and self._shared is not None:
            self._shared.seeds.reader = seeds
            seeds.sums.share = self._shared.seed

    def own_limits(self) -> dict[tuple[str, str], Limit]:
        """``LimiterSnapshot.own_limits`` of the current rules."""
        return self.snapshot.own_limits()

    def wrap(self, handler: Handler) -> Handler:
        # Not a coroutine function, since a store in memory answers at once.
        def limited(responder: Responder) -> Awaitable[None]:
            exchange, request = responder.exchange, responder.request
            # Later calls of a run that its client capped may not say so.
            capped = request.attributed and (BUDGET in request.headers or self.book.counts_runs)
            if self._idle and not capped:
                return handler(responder)
            client, snapshot = exchange.caller, self.snapshot
            if self._only_own and not capped and (client is None or client.limits is None):
                return handler(responder)
            prepared = snapshot.client_costs(client)  # before ``has_slots``, which it may set
            lease = next(snapshot.leases) if snapshot.rules.has_slots else 0
            answer = snapshot.prepared_store.grant(prepared, lease) if prepared.costs else NO_COSTS
            holds = Holds(self.book, exchange) if self._budgeted or capped else None
            if isinstance(answer, tuple):
                exchange.reservation = Reservation(
                    snapshot, client, exchange.attempts, lease, prepared.costs, answer, holds
                )
                return handler(responder)
            reservation = exchange.reservation = Reservation(
                snapshot, client, exchange.attempts, lease, prepared.costs, NO_COSTS, holds
            )
            if not isinstance(answer, Verdict):
                return _wait(responder, handler, reservation, answer)
            reservation.begin(answer)
            return handler(responder)

        return limited

    async def close(self) -> None:
        if self._seeds is not None:
            await self._seeds.close()
        await self.store.close()


async def _wait(responder: Responder, handler: Handler, reservation: Reservation, verdict: Awaitable[Verdict]) -> None:
    reservation.begin(await verdict)
    await handler(responder)
