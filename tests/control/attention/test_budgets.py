"""Troubles of budgets and balances."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.budgets.base import BudgetCounter, note_refused
from proxy.budgets.book import Book
from proxy.budgets.rules import BudgetRules
from proxy.config.schema import Database
from proxy.control.attention import budgets as source
from proxy.control.attention.budgets import USED_SECS, BudgetTroubles
from proxy.control.attention.trouble import Trouble
from proxy.control.deployments.index import DeploymentIndex
from proxy.database.accounts import AccountTable
from proxy.database.opening import LazyEngine
from proxy.identity import Client
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry
from tests.budgets.rig import NOON, exchange
from tests.support.gateway import to_config

DAILY = {"name": "daily", "per": "owner", "usd": 1, "window": "day"}
UP = {"up": {"baseUrl": "http://127.0.0.1:1/v1"}}
MODELS = [
    {"name": "priced", "provider": "up", "prices": {"input": 1, "output": 1}},
    *({"name": name, "provider": "up"} for name in ("a", "b", "c", "d")),
]


class BudgetRig:
    """``database``: its URL; ``""``: there is none."""

    def __init__(
        self, *budgets: Mapping[str, Any], database: str = "", models: list[Any] | None = None, **billing: Any
    ) -> None:
        found = to_config({"providers": UP, "models": models or MODELS[:1], "budgets": [*budgets]})
        self.config = replace(
            found,
            billing=replace(found.billing, **billing),
            database=Database(url=database, enabled=bool(database)),
        )
        self.registry = Registry.of(self.config.circuit_breaker)
        self.catalog = Catalog(self.config, self.registry, version="1", created=0)
        self.book = Book(BudgetRules.of(self.config), "p1", lambda: NOON)
        self.engine = LazyEngine(self.config.database, "", print, print)
        live: Any = self
        index = DeploymentIndex(live, lambda: NOON)
        self.troubles = BudgetTroubles(self.book, index, live, self.engine)

    def spent(self, owner: str, amount: int = 10**9) -> BudgetCounter:
        client = Client(f"key:{owner}", key=owner, owner=owner)
        counter = self.book.of_call(exchange(client), NOON)[0]
        counter.spent, counter.used_at = amount, NOON
        return counter

    async def find(self) -> list[tuple[str, str, str, str, int]]:
        """Severity, kind, what, why and count."""
        found = await self.troubles.find()
        return [(each.severity, each.kind, each.what, each.why, each.count) for each in found]


async def test_a_budget_that_is_used_up_names_whose() -> None:
    rig = BudgetRig(DAILY)
    assert await rig.troubles.find() == []
    rig.troubles._looked_at = 0
    for owner in ("alice", "bob", "carol", "dan"):
        rig.spent(owner)
    rig.spent("erin", 10**9 - 1)
    rig.spent("fred").used_at = NOON - USED_SECS - 1
    rig.spent("gina").seeded = False
    [trouble] = await rig.troubles.find()
    why = "used up: alice, bob, carol and 1 more"
    assert trouble == Trouble("warning", "budget", "Budget daily", why, until=NOON + 12 * 3600, count=4)


async def test_what_others_spent_counts_and_what_is_held_does_not() -> None:
    rig = BudgetRig(DAILY)
    rig.spent("alice", 5 * 10**8).base = 5 * 10**8
    rig.spent("bob", 0).held = 10**9
    assert await rig.find() == [("warning", "budget", "Budget daily", "used up: alice", 1)]


async def test_a_budget_for_all_refuses_every_call_and_a_soft_one_none() -> None:
    rig = BudgetRig({"name": "all", "usd": 1})
    rig.spent("alice")
    assert await rig.find() == [("error", "budget", "Budget all", "used up, so every call is refused", 1)]
    soft = BudgetRig(DAILY | {"soft": True})
    soft.spent("alice")
    assert await soft.find() == [("notice", "budget", "Budget daily", "used up, and it only warns: alice", 1)]
    soft = BudgetRig({"name": "all", "usd": 1, "soft": True})
    soft.spent("alice")
    assert await soft.find() == [("notice", "budget", "Budget all", "used up, and it only warns", 1)]


async def test_a_balance_that_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "STRIDE", 1)
    rig = BudgetRig(enabled=True, default_balance=1)
    rig.spent("unknown")  # until it is read, any call is covered
    rig.spent("alice").cap = 10**9
    assert await rig.find() == [("notice", "balance", "Balances", "used up: alice", 1)]


async def test_a_budget_that_refuses_calls_while_something_is_left() -> None:
    rig = BudgetRig(DAILY)
    counter = rig.spent("alice", 810_000_000)
    note_refused(counter, 200_000_000, NOON - 299)
    assert await rig.find() == [("warning", "budget", "Budget daily", "calls are refused: alice", 1)]
    counter.refused_at = NOON - 301
    rig.troubles._looked_at = 0
    assert await rig.find() == []
    everyone = BudgetRig({"name": "all", "usd": 1})
    note_refused(everyone.spent("alice", 810_000_000), 200_000_000, NOON)
    assert await everyone.find() == [("warning", "budget", "Budget all", "calls are refused", 1)]


async def test_a_balance_that_refuses_calls() -> None:
    rig = BudgetRig(enabled=True, default_balance=1)
    counter = rig.spent("alice")
    counter.cap = 10**9 + 1
    note_refused(counter, 5, NOON)
    assert await rig.find() == [("notice", "balance", "Balances", "calls are refused: alice", 1)]


async def test_models_without_a_price_are_named_where_usd_are_capped() -> None:
    why = "a balance or a budget in USD cannot cover calls, so they are refused: a, b, c and 1 more"
    expected = [("warning", "unpriced", "4 models without a price", why, 4)]
    assert await BudgetRig(DAILY, models=MODELS).find() == expected
    assert await BudgetRig(enabled=True, default_balance=1, models=MODELS).find() == expected
    one = await BudgetRig({"name": "m", "per": "model", "only": ["a"], "usd": 1}, models=MODELS).find()
    assert [each[2:4] for each in one] == [
        ("1 model without a price", "a balance or a budget in USD cannot cover calls, so they are refused: a")
    ]


@pytest.mark.parametrize("budget", [{"tokens": 1}, {"usd": 1, "soft": True}, {"usd": 1, "allowed": True}])
async def test_models_without_a_price_are_no_trouble_where_they_are_not_refused(budget: dict[str, Any]) -> None:
    billing = {"on_unpriced": "allow"} if budget.pop("allowed", False) else {}
    assert await BudgetRig({"name": "b", **budget}, models=MODELS, **billing).find() == []


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[BudgetRig]:
    """With balances in a database."""
    rig = BudgetRig(database=f"sqlite:///{tmp_path}/a.db", enabled=True)
    yield rig
    await rig.engine.close()


async def test_that_no_account_has_a_balance(rig: BudgetRig) -> None:
    why = "no account has any, so calls are refused: top up accounts, or set billing.defaultBalance"
    assert await rig.find() == [("warning", "balance", "Balances", why, 1)]
    table = AccountTable(rig.engine.get())
    await table.post("alice", 5, "Top-up")
    assert len(await rig.find()) == 1  # within seconds of the last look
    rig.troubles._looked_at = 0
    assert await rig.find() == []
    await table.post("alice", -5, "Correction")
    rig.troubles._looked_at = 0
    assert len(await rig.find()) == 1


async def test_a_database_that_does_not_answer_is_no_trouble_of_balances(tmp_path: Path) -> None:
    down = BudgetRig(database="postgresql://127.0.0.1:1/none", enabled=True)
    assert await down.find() == []
    await down.engine.close()
