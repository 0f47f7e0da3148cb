"""What the ledger says of counters: of their rows, and of the time before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from proxy.budgets.base import charge
from proxy.budgets.book import SeedsUnavailable
from proxy.database.spend import Spent
from proxy.identity import Client
from tests.budgets.ledgers import ALICE, DAILY, TOKENS, SeededBook, seeded_books
from tests.budgets.rig import NOON, exchange, rules


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., SeededBook]]:
    async with seeded_books() as making:
        yield making


async def test_base_is_what_other_processes_spent_and_spent_is_our_own(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY, TOKENS)
    rig.ledger.spend = {
        ALICE: {"p1": Spent(5, 50), "p2": Spent(7, 70), "": Spent(11, 110)},
        "tokens/total/alice": {"p2": Spent(7, 70)},
    }
    daily, tokens = await rig.seeded()
    assert (daily.spent, daily.base, daily.seeded) == (5, 18, True)
    assert (tokens.spent, tokens.base, tokens.seeded) == (0, 70, True)


async def test_our_own_spend_is_never_less_than_what_this_process_knows(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    (daily,) = await rig.seeded()
    charge([(daily, 0, 9)])
    rig.ledger.add(ALICE, "p1", 4)  # the other rows are on their way
    await rig.seeds.refresh()
    assert (daily.spent, daily.base) == (9, 0)


# -- a budget that is younger than its window ---------------------------------------------------------


async def test_what_was_spent_before_a_budget_existed_counts(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY, began=NOON)
    rig.ledger.earlier[ALICE] = Spent(13, 130)
    (daily,) = await rig.seeded()
    assert daily.base == 13
    (asked,) = rig.ledger.asked
    assert (asked.per, asked.subject, asked.begins) == ("owner", "alice", NOON - 13 * 3600)  # midnight in Berlin


async def test_a_window_that_began_later_has_no_past(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    await rig.seeded()
    assert rig.ledger.asked == []


async def test_a_counter_with_rows_has_no_other_past(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY, began=NOON)
    rig.ledger.add(ALICE, "p0", 5)
    assert (await rig.seeded())[0].base == 5
    assert rig.ledger.asked == []


async def test_a_budget_without_end_counts_all_that_the_ledger_has(make: Callable[..., SeededBook]) -> None:
    rig = make({"name": "app", "per": "label:app", "usd": 5, "window": "total"})
    rig.ledger.earlier["app/total/chat"] = Spent(13, 130)
    (counter,) = rig.book.of_call(exchange(Client("c"), added=(("app", "chat"),)), rig.now)
    await rig.book.seed((counter,))
    assert counter.base == 13
    assert (rig.ledger.asked[0].per, rig.ledger.asked[0].begins) == ("label:app", 0.0)


async def test_runs_have_no_past(make: Callable[..., SeededBook]) -> None:
    rig = make({"name": "runs", "per": "run", "usd": 5}, began=NOON)
    await rig.seeded(run="r")
    assert rig.ledger.asked == []


async def test_a_budget_that_a_reload_adds_counts_its_window_from_the_beginning(
    make: Callable[..., SeededBook],
) -> None:
    rig = make(DAILY)
    everyone = {"name": "all", "usd": 5, "window": "day"}
    rig.book.adopt(rules(DAILY, everyone))
    rig.ledger.earlier = {"all/2026-11-29/": Spent(9, 9), ALICE: Spent(8, 8)}
    daily, alice = sorted(await rig.seeded(), key=lambda counter: counter.key)
    assert (daily.key, daily.base, alice.base) == ("all/2026-11-29/", 9, 0)
    assert [each.key for each in rig.ledger.asked] == ["all/2026-11-29/"]


# -- with a shared store ------------------------------------------------------------------------------


async def test_a_shared_store_is_told_what_other_processes_spent(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    told: list[tuple[str, dict[str, int]]] = []
    rig.seeds.sums.share = lambda counter, spent: told.append((counter.key, dict(spent)))
    rig.ledger.spend[ALICE] = {"p1": Spent(5, 50), "p2": Spent(7, 70)}
    (daily,) = await rig.seeded()
    assert told == [(ALICE, {"p2": 7})]
    daily.base = 90  # as the store knows: the ledger comes later
    await rig.seeds.refresh()
    assert (daily.base, len(told)) == (90, 1)
    rig.ledger.add(ALICE, "p2", 1)
    await rig.seeds.refresh()
    assert told[1:] == [(ALICE, {"p2": 8})]


async def test_what_a_shared_store_said_is_old_for_a_counter_that_is_not_used(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    rig.seeds.sums.share = lambda counter, spent: None
    rig.ledger.spend[ALICE] = {"p2": Spent(7, 70)}
    (daily,) = await rig.seeded()
    daily.base, daily.held = 90, 1
    for _ in range(2):
        rig.now += 2.0
        await rig.seeds.refresh()
        assert daily.base == 90
    daily.held = 0
    await rig.seeds.refresh()
    assert daily.base == 90
    rig.now += 2.0
    await rig.seeds.refresh()
    assert daily.base == 7


async def test_a_shared_store_reads_by_process(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY, TOKENS)
    rig.ledger.spend = {ALICE: {"p1": Spent(5, 50), "": Spent(7, 70)}, "tokens/total/alice": {"p2": Spent(1, 10)}}
    assert await rig.seeds.read(rig.counters()) == {ALICE: {"p1": 5, "": 7}, "tokens/total/alice": {"p2": 10}}
    rig.ledger.down = True
    with pytest.raises(SeedsUnavailable):
        await rig.seeds.read(rig.counters())
