"""Counters of this process and of the database, in one list."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.budgets import standing
from proxy.control.budgets.standing import Standing
from tests.budgets.rig import NOON, exchange
from tests.control.budgets.rig import ALICE, DAY, BudgetPlane, budget_plane
from tests.database.databases import KINDS, Forwarder, new_database

DAILY = {"name": "daily", "per": "owner", "usd": 2, "window": "day"}
TOKENS = {"name": "tokens", "per": "owner", "tokens": 1000, "window": "day"}
CAP = 2 * 10**9
AMOUNT = st.integers(0, 10**12)


@pytest.mark.parametrize("kind", KINDS)
async def test_counters_that_only_the_database_knows_are_shown(kind: str, tmp_path: Path) -> None:
    async with new_database(kind, tmp_path) as url, budget_plane(url, tmp_path, DAILY) as plane:
        plane.use(spent=100, held=10, base=5)
        await plane.record(f"daily/{DAY}/alice", "own", 90)
        await plane.record(f"daily/{DAY}/alice", "other", 4)
        await plane.record(f"daily/{DAY}/bob", "own", 3_000, 9)  # before a restart with the same nonce
        await plane.record(f"daily/{DAY}/bob", "other", 2_000, 9)
        await plane.record("daily/2026-11-28/carol", "other", 2_000)
        assert [(key, sums) for key, _, sums in await plane.sums()] == [
            (f"daily/{DAY}/bob", [CAP, 3_000, 0, 2_000, CAP - 5_000]),
            (f"daily/{DAY}/alice", [CAP, 100, 10, 5, CAP - 115]),
        ]
        assert (await plane.show())["missing"] == ""


async def test_a_counter_that_was_not_used_lately_is_read_again(tmp_path: Path) -> None:
    async with budget_plane(f"sqlite:///{tmp_path}/a.db", tmp_path, DAILY) as plane:
        counter = plane.use(spent=100, base=5)
        counter.seeded = False
        await plane.record(counter.key, "own", 70)
        await plane.record(counter.key, "other", 700)
        assert [sums for _, _, sums in await plane.sums()] == [[CAP, 100, 0, 700, CAP - 800]]


async def test_budgets_in_tokens_are_sorted_by_tokens(tmp_path: Path) -> None:
    async with budget_plane(f"sqlite:///{tmp_path}/a.db", tmp_path, TOKENS) as plane:
        await plane.record(f"tokens/{DAY}/alice", "p", 1, 900)
        await plane.record(f"tokens/{DAY}/bob", "p", 2, 100)
        assert [(key[-3:], percent) for key, percent, _ in await plane.sums()] == [("ice", 90.0), ("bob", 10.0)]


async def three(plane: BudgetPlane) -> None:
    for name, nano in (("Ann", 3), ("bob", 2), ("dan", 1)):
        await plane.record(f"daily/{DAY}/{name}", "p", nano * 1_000_000)
    plane.use(spent=2_500_000)


async def test_the_highest_shares_come_first_and_the_rest_is_cut(tmp_path: Path) -> None:
    async with budget_plane(f"sqlite:///{tmp_path}/a.db", tmp_path, DAILY) as plane:
        await three(plane)
        [budget] = (await plane.show("?limit=2"))["budgets"]
        assert ([each["subject"] for each in budget["counters"]], budget["truncated"]) == (["Ann", "alice"], True)
        [budget] = (await plane.show("?limit=4"))["budgets"]
        assert (len(budget["counters"]), budget["truncated"]) == (4, False)


async def test_counters_are_found_by_a_part_of_their_subject(tmp_path: Path) -> None:
    async with budget_plane(f"sqlite:///{tmp_path}/a.db", tmp_path, DAILY, TOKENS) as plane:
        await three(plane)
        assert [key.rpartition("/")[2] for key, _, _ in await plane.sums("?budget=daily&subject=aN")] == ["Ann", "dan"]
        assert [key.rpartition("/")[2] for key, _, _ in await plane.sums("?subject=LIC")] == ["alice"]
        assert await plane.sums("?subject=%25") == []  # not a pattern
        assert [each["name"] for each in (await plane.show("?budget=tokens"))["budgets"]] == ["tokens"]
        assert (await plane.show("?budget=none"))["budgets"] == []


async def test_a_budget_that_is_gone_and_a_window_that_is_over_are_not_shown(tmp_path: Path) -> None:
    async with budget_plane("", tmp_path, DAILY) as plane:
        plane.book.of_call(exchange(ALICE), NOON - 86_400)[0].held = 1
        assert await plane.sums() == []
        plane.book.adopt(plane.book.rules.of(plane.config))
        plane.use(spent=1)
        assert len(await plane.sums()) == 1
        plane.book.adopt(type(plane.book.rules).of(type(plane.config)()))
        assert (await plane.show())["budgets"] == []


async def test_while_the_database_is_down_the_answer_says_what_is_missing(tmp_path: Path) -> None:
    async with (
        new_database("postgresql", tmp_path) as url,
        Forwarder(url) as way,
        budget_plane(way.url, tmp_path, DAILY) as plane,
    ):
        plane.use(spent=1)
        await way.cut()
        shown = await plane.show()
        assert shown["missing"] == standing.DOWN
        assert [each["subject"] for each in shown["budgets"][0]["counters"]] == ["alice"]


async def test_other_tasks_run_while_many_counters_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "STRIDE", 2)
    async with budget_plane("", tmp_path, {"name": "runs", "per": "run", "usd": 1}) as plane:
        for number in range(9):
            plane.use(exchange(ALICE, run=f"r{number}"), spent=number)
        assert [sums[1] for _, _, sums in await plane.sums("?limit=3")] == [8, 7, 6]


@given(AMOUNT, AMOUNT, AMOUNT, AMOUNT)
def test_what_is_left_and_used_is_never_more_than_the_cap(cap: int, spent: int, held: int, base: int) -> None:
    found = Standing("k", "s", cap, spent, held, base)
    assert found.left == max(cap - spent - held - base, 0)
    assert (found.left == 0) == (found.share >= 1)
    assert found.percent >= 0
