"""What an agent and its operator are shown of budgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.budgets.base import BudgetCounter, note_refused
from proxy.budgets.book import SeedsUnavailable
from tests.budgets.rig import NOON, exchange
from tests.control.budgets.rig import ALICE, budget_plane

DAILY = {"name": "daily", "per": "owner", "usd": 2, "window": "day", "timezone": "Europe/Berlin"}
RUNS = {"name": "runs", "per": "run", "usd": 0.5}


async def test_a_budget_is_shown_with_its_settings_and_window(tmp_path: Path) -> None:
    async with budget_plane("", tmp_path, DAILY | {"thresholds": [90, 50]}, currency="EUR", usdRate=0.5) as plane:
        plane.use(spent=500_000_000, held=250_000_000)
        shown = await plane.show()
    [budget] = shown.pop("budgets")
    [counter] = budget.pop("counters")
    assert shown == {"now": NOON, "currency": "EUR", "usdRate": 0.5, "balances": False, "missing": ""}
    assert budget == {
        "name": "daily",
        "per": "owner",
        "unit": "usd",
        "cap": 2_000_000_000,
        "capAmount": 1.0,
        "window": "day",
        "timezone": "Europe/Berlin",
        "soft": False,
        "thresholds": [50, 90],
        "only": [],
        "begins": NOON - 13 * 3600,
        "renews": NOON + 11 * 3600,
        "truncated": False,
    }
    assert counter == {
        "key": "daily/2026-11-29/alice",
        "subject": "alice",
        "percent": 25.0,
        "refusing": False,
        "sums": {"cap": 2 * 10**9, "spent": 500_000_000, "held": 250_000_000, "base": 0, "left": 1_250_000_000},
        "amounts": {"cap": 1.0, "spent": 0.25, "held": 0.125, "base": 0.0, "left": 0.625},
    }


async def test_an_operator_sees_which_counter_refuses_calls(tmp_path: Path) -> None:
    async with budget_plane("", tmp_path, DAILY) as plane:
        note_refused(plane.use(spent=1_620_000_000), 400_000_000, NOON - 10)
        [budget] = (await plane.show())["budgets"]
    [counter] = budget["counters"]
    assert (counter["refusing"], counter["percent"]) == (True, 81.0)


async def test_tokens_are_no_money(tmp_path: Path) -> None:
    tokens = {"name": "all", "per": "label:env", "tokens": 1000, "window": "total", "soft": True}
    async with budget_plane("", tmp_path, tokens) as plane:
        plane.use(exchange(ALICE, added=(("env", "prod"),)), spent=1500)
        [budget] = (await plane.show())["budgets"]
    assert (budget["per"], budget["capAmount"], budget["begins"], budget["renews"]) == ("label:env", None, None, None)
    [counter] = budget["counters"]
    assert (counter["percent"], counter["amounts"], counter["sums"]["left"]) == (150.0, None, 0)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "budgets=x", "subject=a%00b"])
async def test_a_mistake_in_the_query_is_refused(tmp_path: Path, query: str) -> None:
    async with budget_plane("", tmp_path, DAILY) as plane:
        answer = await plane.server.ask("GET", f"/admin/budgets?{query}")
        assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_value")


async def test_only_the_admin_sees_all_budgets(tmp_path: Path) -> None:
    async with budget_plane("", tmp_path, DAILY) as plane:
        assert (await plane.server.fetch("GET", "/admin/budgets", ("x-test-client", "1"))).status == 401
        assert (await plane.server.fetch("GET", "/billing/budgets")).status == 401


async def test_a_client_sees_what_its_own_budgets_have_left(tmp_path: Path) -> None:
    everyone = {"name": "all", "usd": 1, "window": "month"}
    async with budget_plane("", tmp_path, DAILY, everyone) as plane:
        own, shared = plane.book.of_call(exchange(ALICE), NOON)
        own.spent, own.held, own.base = 500_000_000, 250_000_000, 500_000_000
        shared.spent = 10**9
        found = await plane.own()
    assert found[0] == {
        "name": "daily",
        "per": "owner",
        "unit": "USD",
        "window": "day",
        "timezone": "Europe/Berlin",
        "soft": False,
        "exhausted": False,
        "refusing": False,
        "begins": "2026-11-28T23:00:00Z",
        "renews": "2026-11-29T23:00:00Z",
        "percent": 50.0,
        "cap": 2.0,
        "spent": 1.0,
        "reserved": 0.25,
        "left": 0.75,
    }
    assert (found[1]["name"], found[1]["exhausted"], found[1]["renews"]) == ("all", True, "2026-12-01T00:00:00Z")
    assert {found[1][name] for name in ("percent", "cap", "spent", "reserved", "left")} == {None}


async def test_a_client_sees_its_run_and_its_labels_if_it_names_them(tmp_path: Path) -> None:
    labeled = {"name": "env", "per": "label:env", "tokens": 10}
    async with budget_plane("", tmp_path, RUNS, labeled) as plane:
        plane.use(exchange(ALICE, run="r1"), spent=200_000_000)
        plane.book.of_call(exchange(ALICE, run="child", parent="r1"), NOON)
        assert await plane.own() == []
        names = ("x-router-run", "r1"), ("x-router-labels", "env=prod")
        label, run = await plane.own(*names)
        assert (label["name"], label["left"]) == ("env", None)
        assert (run["name"], run["per"], run["cap"], run["left"], run["renews"]) == ("runs", "run", 0.5, 0.3, None)
        assert [each["left"] for each in await plane.own(("x-router-run", "child"))] == [0.5, 0.3]
        answer = await plane.server.fetch("GET", "/billing/budgets", ("x-test-client", "2"), ("x-router-labels", "!"))
        assert (answer.status, answer.json["error"]["param"]) == (400, "x-router-labels")


async def test_a_run_that_only_its_client_caps_is_shown(tmp_path: Path) -> None:
    async with budget_plane("", tmp_path) as plane:
        plane.use(exchange(ALICE, run="r1", cap=100_000_000), spent=25_000_000)
        [own] = await plane.own(("x-router-run", "r1"))
        assert (own["name"], own["cap"], own["left"]) == ("run", 0.1, 0.075)
        [budget] = (await plane.show())["budgets"]
        assert (budget["name"], budget["cap"], budget["capAmount"]) == ("run", None, None)
        assert [each["subject"] for each in budget["counters"]] == ["alice/r1"]


async def test_a_balance_is_a_budget_of_its_account(tmp_path: Path) -> None:
    async with budget_plane("", tmp_path, balances=True) as plane:
        assert (await plane.own())[0]["left"] is None  # until it is read
        plane.use(spent=10**9, held=10**9)
        plane.book.credited("alice", 5 * 10**9)
        [own] = await plane.own()
        assert (own["name"], own["cap"], own["spent"], own["reserved"], own["left"]) == ("balance", 5, 1, 1, 3)
        assert (await plane.show())["balances"] is True


class Seeder:
    """Reads 7 nano-USD of each counter; or the database is down."""

    down = False

    async def seed(self, counters: tuple[BudgetCounter, ...]) -> None:
        if self.down:
            raise SeedsUnavailable("down")
        for counter in counters:
            counter.base, counter.seeded = 700_000_000, True

    def adopt(self, rules: object) -> None:
        """None of its own."""


async def test_a_client_is_shown_what_the_database_has(tmp_path: Path) -> None:
    async with budget_plane("", tmp_path, DAILY) as plane:
        seeder = plane.book.seeder = Seeder()  # type: ignore[assignment]
        plane.book.refuses_unseeded = True
        assert [each["left"] for each in await plane.own()] == [1.3]
        seeder.down = True
        answer = await plane.server.fetch("GET", "/billing/budgets", ("x-test-client", "2"))
        assert (answer.status, answer.json["error"]["code"]) == (503, "budgets_unavailable")
