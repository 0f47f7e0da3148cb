"""Troubles of money: budgets and balances that are used up or refuse calls, and settings by which calls are refused.

Only counters that this process used within the last hour count: no call is refused for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from proxy.budgets.base import BALANCE, BudgetCounter, SpendBudget, is_refusing
from proxy.budgets.book import Book
from proxy.budgets.rules import UNBOUNDED, BudgetRules
from proxy.control.attention.trouble import Severity, Trouble
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.live import LiveConfig
from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.errors import ConfigError
from proxy.routing.deployment import Deployment
from proxy.routing.listing import available

STRIDE: Final = 5000  # counters that are looked at before other tasks run: about a millisecond
LOOK_SECS: Final = 5.0  # between two looks, since pages ask more often
USED_SECS: Final = 3600.0
NAMED: Final = 3


class BudgetTroubles:
    """``accounts`` is the database that balances are in."""

    def __init__(self, book: Book, index: DeploymentIndex, live: LiveConfig, accounts: LazyEngine) -> None:
        self._book = book
        self._index = index
        self._live = live
        self._accounts = accounts
        self._found: list[Trouble] = []
        self._looked_at = float("-inf")

    async def find(self) -> list[Trouble]:
        rules, now = self._book.rules, self._book.wall()
        if now >= self._looked_at + LOOK_SECS:
            self._looked_at = now
            short = await self._short(now)
            self._found = [*_of_counters(short), *self._of_prices(rules), *await self._of_accounts()]
        return self._found

    async def _short(self, now: float) -> list[BudgetCounter]:
        """Other tasks run in between."""
        found = []
        for number, counter in enumerate(self._book, 1):
            if _is_short(counter, now):
                found.append(counter)
            if not number % STRIDE:
                await asyncio.sleep(0)
        return found

    def _of_prices(self, rules: BudgetRules) -> Iterator[Trouble]:
        """Models that are refused, as they have no price."""
        if not rules.refuses_unpriced:
            return
        names = {
            each.name: None
            for each in self._index
            if each.deployment is not None and each.deployment.prices is None and _is_capped(rules, each.deployment)
        }
        if names:
            what = f"{len(names)} model{'s' if len(names) > 1 else ''} without a price"
            why = f"a balance or a budget in USD cannot cover calls, so they are refused: {_listed(names)}"
            yield Trouble("warning", "unpriced", what, why, count=len(names))

    async def _of_accounts(self) -> list[Trouble]:
        """Whether anyone can call at all. A database that does not answer is a trouble of its own."""
        config = self._live.config
        billing = config.billing
        if not (billing.enabled and config.database.enabled) or billing.default_balance > 0:
            return []
        from proxy.database.accounts import AccountTable

        try:
            if await AccountTable(self._accounts.get()).any_covered():
                return []
        except (ConfigError, Unreachable):
            return []
        why = "no account has any, so calls are refused: top up accounts, or set billing.defaultBalance"
        return [Trouble("warning", "balance", "Balances", why)]


def _is_short(counter: BudgetCounter, now: float) -> bool:
    if not counter.seeded or counter.cap >= UNBOUNDED or now - counter.used_at > USED_SECS:
        return False
    short = _is_spent(counter) or is_refusing(counter, now)
    return short and (counter.ends is None or counter.ends > now)


def _is_spent(counter: BudgetCounter) -> bool:
    return counter.base + counter.spent >= counter.cap


def _of_counters(short: Iterable[BudgetCounter]) -> Iterator[Trouble]:
    """One trouble of each budget, and one of all balances."""
    groups: dict[SpendBudget, list[BudgetCounter]] = {}
    for counter in short:
        groups.setdefault(counter.budget, []).append(counter)
    for budget, counters in groups.items():
        subjects = _listed({counter.subject: None for counter in counters if counter.subject})
        ends = min((counter.ends for counter in counters if counter.ends is not None), default=None)
        spent = all(map(_is_spent, counters))
        why = "used up" if spent else "calls are refused"  # while something is left
        if budget.name == BALANCE:
            yield Trouble("notice", "balance", "Balances", f"{why}: {subjects}", count=len(counters))
            continue
        severity: Severity = "notice" if budget.soft else "warning" if subjects or not spent else "error"
        if budget.soft:
            why = f"{why}, and it only warns"
        elif spent and not subjects:
            why = f"{why}, so every call is refused"
        why = f"{why}: {subjects}" if subjects else why
        yield Trouble(severity, "budget", f"Budget {budget.name}", why, until=ends, count=len(counters))


def _is_capped(rules: BudgetRules, deployment: Deployment) -> bool:
    """Whether a call to it may be refused for want of a price."""
    if not available(deployment):
        return False
    budgets = rules.of_deployment(deployment.name, deployment.provider.name)
    own: Sequence[SpendBudget] = [budget for budget, _ in budgets]
    return rules.balances or any(each.unit == "usd" and not each.soft for each in (*rules.callers, *rules.runs, *own))


def _listed(names: Iterable[str]) -> str:
    """The first few by name."""
    found = sorted(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more
