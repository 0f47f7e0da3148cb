"""The counters of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from typing import Final, Protocol

from proxy.budgets.base import (
    BALANCE,
    NEVER,
    BudgetCounter,
    Charge,
    Shortfall,
    SpendBudget,
    adopt_cap,
    mark_reported,
    next_threshold,
)
from proxy.budgets.learned import LearnedRatios
from proxy.budgets.named import NamedCounters
from proxy.budgets.rules import CAPPED_RUN, BudgetRules
from proxy.budgets.runs import Lineage
from proxy.budgets.window import PresentWindows
from proxy.config.labels import Labels
from proxy.errors import Overloaded
from proxy.exchange import Exchange
from proxy.identity import Client
from proxy.wire.attribution import joined_labels

SWEEP_SECS: Final = 3600.0
NAMED: Final = ("label", "model")  # levels whose subjects clients name; a provider may take any model
IDLE: Final = 24 * 3600.0  # seconds without a call, after which a counter is forgotten
MOST_KNOWN: Final = 10_000  # callers whose counters are at hand

Counters = tuple[BudgetCounter, ...]


class Seeder(Protocol):
    """Reads what is known of counters that are new to this process."""

    async def seed(self, counters: Sequence[BudgetCounter]) -> None:
        """Set their ``base``, and the cap of balances, and mark them as seeded. Raises ``SeedsUnavailable``."""

    def adopt(self, rules: BudgetRules) -> None:
        """Other budgets are in force."""


class SeedsUnavailable(Exception):
    """The database does not answer; the text is the reason."""


class Book:
    """``process`` names this process in the ledger. ``wall``: Unix seconds.

    ``seeder``: ``None``: nothing is known of other processes, so a counter begins with 0. ``crossed`` is called with a
    counter whose spend reached its next threshold, ``refused`` with one that refused a call.
    """

    def __init__(self, rules: BudgetRules, process: str, wall: Callable[[], float]) -> None:
        self.rules = rules
        self.process = process
        self.wall = wall
        self.seeder: Seeder | None = None
        self.refuses_unseeded = False  # refuse calls while the seeder is down, rather than count from 0
        self.crossed: Callable[[BudgetCounter], None] | None = None
        self.refused: Callable[[Shortfall], None] | None = None
        self.counts_runs = False  # some run has a counter
        self.warns = False  # some counter has reached a threshold
        self.lineage = Lineage()
        self.ratios = LearnedRatios()
        self._counters: dict[str, BudgetCounter] = {}
        self._runs = NamedCounters()
        self._named = NamedCounters()
        self._windows = PresentWindows()
        self._sweep_at = 0.0
        self._known: dict[object, tuple[Counters, float]] = {}  # counters of a caller, until a window ends

    def __repr__(self) -> str:
        return f"<Book of {self.process}, {len(self)} counters>"

    def __len__(self) -> int:
        return len(self._counters) + len(self._runs) + len(self._named)

    def __iter__(self) -> Iterator[BudgetCounter]:
        """Every counter; safe to change the book meanwhile."""
        return iter([*self._counters.values(), *self._runs, *self._named])

    def adopt(self, rules: BudgetRules) -> None:
        """Apply other budgets from now on. Counters keep what they counted, if it is of the same kind."""
        self.rules = rules
        self._known.clear()
        if self.seeder is not None:
            self.seeder.adopt(rules)
        budgets = rules.by_name
        for counter in self:
            budget = budgets.get(counter.budget.name)
            if budget is None:
                continue
            before = counter.budget
            if (budget.unit, budget.level, budget.label) != (before.unit, before.level, before.label):
                for kept in (self._counters, self._named, self._runs):
                    kept.pop(counter.key, None)
                continue
            lowered = counter.cap if counter.cap < before.cap else NEVER  # by the client of a run
            counter.budget = budget
            adopt_cap(counter, min(budget.cap, lowered))

    # -- which counters a call has ------------------------------------------------------------------

    def of_call(self, exchange: Exchange, now: float) -> Counters:
        """The counters that do not depend on the deployment. ``now``: Unix seconds."""
        added = exchange.added_labels
        key = exchange.caller, self.rules.counted_labels(added) if added else added
        known = self._known.get(key)
        if known is None or now >= known[1]:
            known = self._known_from_now_on(key, self.rules.of_caller(exchange), now)
        if exchange.run and (self.rules.runs or exchange.run_cap is not None or self.counts_runs):
            return known[0] + self._of_run(exchange, now)
        return known[0]

    def of_client(self, client: Client, added_labels: Labels, run: str, now: float) -> Counters:
        """The counters of a call that a client could make now. ``run``: ``""``: of none."""
        key = client, self.rules.counted_labels(added_labels)
        known = self._known.get(key)
        if known is None or now >= known[1]:
            labels = joined_labels(added_labels, client.labels)
            known = self._known_from_now_on(key, self.rules.of_client(client, labels), now)
        if not run:
            return known[0]
        prefix = client.run_key("")
        return known[0] + tuple(
            self._run_counter(budget, each, now)
            for each in self.lineage.ancestors(prefix + run)
            for budget in self.rules.of_run(each[len(prefix) :], _capped(each) in self._runs)
        )

    def of_deployment(self, name: str, provider: str, now: float) -> Counters:
        """The counters of a model and of a provider."""
        if not self.rules.deployments:
            return ()
        key = name, provider
        known = self._known.get(key)
        if known is None or now >= known[1]:
            known = self._known_from_now_on(key, self.rules.of_deployment(name, provider), now)
        return known[0]

    async def seed(self, counters: Sequence[BudgetCounter]) -> None:
        """Read what is known of new counters. Raises Overloaded if that is not possible and calls are refused then."""
        if self.seeder is None:
            return
        known = [(counter, counter.spent) for counter in counters if not counter.marked]
        try:
            await self.seeder.seed(counters)
            for counter, spent in known:
                mark_reported(counter, counter.base + counter.spent - spent)
                self.warns = self.warns or counter.fired > 0
        except SeedsUnavailable as reason:
            if self.refuses_unseeded:
                raise Overloaded(
                    "What was spent of a budget cannot be read. Try again later.",
                    retry_after=1,
                    code="budgets_unavailable",
                ) from reason

    def find(self, key: str) -> BudgetCounter | None:
        return self._counters.get(key) or self._runs.find(key) or self._named.find(key)

    def balance(self, account: str) -> BudgetCounter | None:
        """The counter of an account's balance, if it was used since the start."""
        return self._counters.get(f"{BALANCE}/total/{account}")

    def credited(self, account: str, credits_: int) -> None:
        """Let an account spend ``credits_`` nano-USD in all: the sum of what was ever credited to it."""
        counter = self.balance(account)
        if counter is not None:
            adopt_cap(counter, credits_)

    def charged(self, charges: Iterable[Charge]) -> None:
        """After charges: report the thresholds that they reached."""
        if self.crossed is not None:
            for counter, _, spent in charges:
                if spent and counter.base + counter.spent >= counter.next_at:
                    self.warns = True
                    self.crossed(counter)

    def note_refusal(self, short: Shortfall) -> None:
        """After a refusal: report a budget that is used up."""
        if self.refused is not None:
            self.warns = True
            self.refused(short)

    def sweep(self, now: float) -> None:
        """Forget counters of windows that have ended, and idle ones, unless a call still holds something.

        The ledger has what idle ones counted. Without it they are kept, but for runs.
        """
        self._sweep_at = now + SWEEP_SECS
        idle = now - IDLE
        for counter in [*self._counters.values(), *self._named]:
            ended = counter.ends is not None and counter.ends <= now
            if (ended or (counter.used_at <= idle and self.seeder is not None)) and not counter.held:
                for kept in (self._counters, self._named):
                    kept.pop(counter.key, None)
                self._known.clear()
        for counter in [*self._runs]:
            if counter.used_at > idle:
                break
            if not counter.held:
                self._runs.pop(counter.key)
        self.counts_runs = len(self._runs) > 0

    # -- internals ----------------------------------------------------------------------------------

    def _known_from_now_on(
        self, key: object, budgets: Iterable[tuple[SpendBudget, str]], now: float
    ) -> tuple[Counters, float]:
        found = tuple(self._counter(budget, subject, now) for budget, subject in budgets)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        until = min((each.ends for each in found if each.ends is not None), default=inf)
        self._known[key] = found, until
        return found, until

    def _counter(self, budget: SpendBudget, subject: str, now: float) -> BudgetCounter:
        assert budget.window != "run"
        window = self._windows.find(budget.window, budget.zone, now)
        key = f"{budget.name}/{window.label}/{subject}"
        if budget.level not in NAMED:
            found = self._counters.get(key)
            if found is None:
                found = self._counters[key] = self._new(key, budget, subject, window.ends, now)
            return found
        found = self._named.use(key)
        if found is None:
            found = self._new(key, budget, subject, window.ends, now)
            if self._named.add(found):
                self._known.clear()
        return found

    def _of_run(self, exchange: Exchange, now: float) -> Counters:
        """The counters of a run and of the runs whose sub-agent it is."""
        key, parent = exchange.run_key(exchange.run), exchange.run_parent and exchange.run_key(exchange.run_parent)
        self.lineage.seen(key, parent, now)
        prefix = len(key) - len(exchange.run)
        found = []
        for number, run in enumerate(self.lineage.ancestors(key)):
            own_cap = exchange.run_cap if number == 0 else None
            for budget in self.rules.of_run(run[prefix:], own_cap is not None or _capped(run) in self._runs):
                counter = self._run_counter(budget, run, now)
                if own_cap is not None and own_cap < counter.cap and budget.unit == "usd" and not budget.soft:
                    adopt_cap(counter, own_cap)
                found.append(counter)
        return tuple(found)

    def _run_counter(self, budget: SpendBudget, run: str, now: float) -> BudgetCounter:
        key = f"{budget.name}/run/{run}"
        found = self._runs.use(key)
        if found is None:
            found = self._new(key, budget, run, None, now)
            self._runs.add(found)
        self.counts_runs = True
        found.used_at = now
        return found

    def _new(self, key: str, budget: SpendBudget, subject: str, ends: float | None, now: float) -> BudgetCounter:
        if self.seeder is None and now >= self._sweep_at:  # else it sweeps
            self.sweep(now)
        counter = BudgetCounter(key, budget, subject, ends, budget.cap, seeded=self.seeder is None, used_at=now)
        counter.next_at = next_threshold(counter)
        return counter


def _capped(run: str) -> str:
    """The key of the counter of a run that its client capped in some call, where no budget is configured."""
    return f"{CAPPED_RUN.name}/run/{run}"
