"""Counters are read from the ledger once, together, and again while they are in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets import seeding
from proxy.budgets.base import Shortfall, charge
from proxy.budgets.book import SeedsUnavailable
from proxy.budgets.holds import Holds
from proxy.budgets.ledger_spend import Earlier
from proxy.budgets.seeding import IDLE_SECS, SWEEP_SECS
from proxy.database.spend import Spent
from proxy.errors import Overloaded
from tests.budgets.ledgers import ALICE, DAILY, MemoryLedger, SeededBook, seeded_books
from tests.budgets.rig import NOON, exchange
from tests.support.patience import until


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., SeededBook]]:
    async with seeded_books() as making:
        yield making


class _SlowPast(MemoryLedger):
    """Reads of what was spent before a counter existed wait for ``go``."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.begun: list[str] = []

    async def begin(self, asked: Sequence[Earlier], now: float) -> Mapping[str, Mapping[str, Spent]]:
        self.begun += [each.key for each in asked]
        await self.go.wait()
        return await super().begin(asked, now)


# -- the first use ------------------------------------------------------------------------------------


async def test_concurrent_first_calls_share_one_read(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    rig.ledger.add(ALICE, "p2", 7)
    rig.ledger.open.clear()
    calls = [asyncio.create_task(rig.seeded()) for _ in range(20)]
    await until(lambda: rig.ledger.reads, "the read")
    rig.ledger.open.set()
    assert [(await call)[0].base for call in calls] == [7] * 20
    assert rig.ledger.reads == [[ALICE]]


async def test_counters_that_are_new_meanwhile_are_read_together(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    rig.ledger.open.clear()
    calls = [asyncio.create_task(rig.seeded("first"))]
    await until(lambda: rig.ledger.reads, "the read")
    calls += [asyncio.create_task(rig.seeded(f"owner{number}")) for number in range(50)]
    await asyncio.sleep(0)
    rig.ledger.open.set()
    for call in calls:
        await call
    assert [len(keys) for keys in rig.ledger.reads] == [1, 50]


async def test_a_canceled_call_does_not_cancel_the_read_of_others(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    rig.ledger.open.clear()
    first, second = (asyncio.create_task(rig.seeded()) for _ in range(2))
    await until(lambda: rig.ledger.reads, "the read")
    first.cancel()
    await asyncio.wait([first])
    rig.ledger.open.set()
    assert (await second)[0].seeded


async def test_counters_do_not_wait_for_the_past_of_others(make: Callable[..., SeededBook]) -> None:
    """It may take a second, and a client may invent the values of a label."""
    app = {"name": "app", "per": "label:app", "usd": 5, "window": "total"}
    rig = make(app, {"name": "runs", "per": "run", "usd": 5}, began=NOON)
    ledger = _SlowPast()
    ledger.earlier["app/total/a1"] = Spent(13, 130)
    rig.seeds.sums._source = rig.seeds._source = ledger
    apps = [rig.book.of_call(exchange(added=(("app", f"a{number}"),)), NOON) for number in range(3)]
    calls = [asyncio.create_task(rig.book.seed(counters)) for counters in apps]
    await until(lambda: ledger.begun, "the first read")
    (other,) = await rig.seeded(run="r")
    assert other.seeded
    assert not any(call.done() for call in calls)
    ledger.go.set()
    for call in calls:
        await call
    assert [(counter.base, counter.seeded) for (counter,) in apps] == [(0, True), (13, True), (0, True)]
    assert ledger.begun == ["app/total/a0", "app/total/a1", "app/total/a2"]


async def test_the_number_of_counters_whose_past_is_to_be_read_is_bounded(
    make: Callable[..., SeededBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "MOST_OLDER", 2)
    rig = make(DAILY, began=NOON)
    ledger = _SlowPast()
    rig.seeds.sums._source = rig.seeds._source = ledger
    found = [rig.counters(f"owner{number}") for number in range(3)]
    calls = [asyncio.create_task(rig.seeds.seed(counters)) for counters in found]
    with pytest.raises(SeedsUnavailable, match="too many"):
        await calls[2]
    ledger.go.set()
    for call in calls[:2]:
        await call
    await rig.seeds.seed(found[2])
    assert found[2][0].seeded


async def test_a_past_that_cannot_be_read_is_read_for_the_next_call(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY, began=NOON)
    ledger = _SlowPast()
    ledger.earlier[ALICE] = Spent(13, 130)
    rig.seeds.sums._source = rig.seeds._source = ledger
    counters = rig.counters()
    call = asyncio.create_task(rig.seeds.seed(counters))
    await until(lambda: ledger.begun, "the read")
    ledger.down = True
    ledger.go.set()
    with pytest.raises(SeedsUnavailable, match="down"):
        await call
    ledger.down = False
    await rig.seeds.seed(counters)
    assert counters[0].base == 13


async def test_a_balance_opens_the_account_and_is_capped_by_its_credits(make: Callable[..., SeededBook]) -> None:
    rig = make(balances=True)
    rig.ledger.default = 300
    rig.ledger.credited["bob"] = 900
    rig.ledger.add("balance/total/bob", "p2", 40)
    (alice,) = await rig.seeded("alice")
    (bob,) = await rig.seeded("bob")
    assert (alice.cap, alice.base, rig.ledger.credited["alice"]) == (300, 0, 300)
    assert (bob.cap, bob.base) == (900, 40)
    assert rig.ledger.asked == []


# -- failures -----------------------------------------------------------------------------------------


async def test_calls_go_on_at_once_while_the_database_is_down(
    make: Callable[..., SeededBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "RETRY_SECS", 0.001)
    rig = make(DAILY)
    rig.ledger.down = True
    (daily,) = await rig.seeded()
    assert not daily.seeded
    charge([(daily, 0, 4)])
    rig.ledger.open.clear()  # the next read hangs, and no call waits for it
    before = len(rig.ledger.reads)
    await until(lambda: len(rig.ledger.reads) > before, "the next read")
    for _ in range(10):
        await rig.seeded()
    assert len(rig.ledger.reads) == before + 1
    rig.ledger.add(ALICE, "p2", 7)
    rig.ledger.down = False
    rig.ledger.open.set()
    await until(lambda: daily.seeded, "the counter to be read")
    assert daily.spent == 4
    await rig.seeds.refresh()
    assert daily.base == 7


async def test_calls_are_refused_while_the_database_is_down_if_that_is_configured(
    make: Callable[..., SeededBook],
) -> None:
    rig = make(DAILY)
    rig.book.refuses_unseeded = True
    rig.ledger.down = True
    for _ in range(2):
        with pytest.raises(Overloaded) as refused:
            await rig.seeded()
        assert refused.value.code == "budgets_unavailable"


async def test_an_error_that_nobody_expects_is_a_failure_too(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)

    async def broken(keys: Any) -> Any:
        raise ZeroDivisionError

    rig.ledger.spent = broken  # type: ignore[method-assign]
    with pytest.raises(SeedsUnavailable, match="ZeroDivisionError"):
        await rig.seeds.seed(rig.counters())


async def test_calls_that_wait_are_refused_at_the_end(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    rig.ledger.open.clear()
    call = asyncio.create_task(rig.seeds.seed(rig.counters()))
    await until(lambda: rig.ledger.reads, "the read")
    await rig.seeds.close()
    with pytest.raises(SeedsUnavailable):
        await call


# -- after a restart ----------------------------------------------------------------------------------


async def test_the_first_read_waits_for_the_rows_of_the_former_process(
    make: Callable[..., SeededBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "LOOK_SECS", 0.001)
    rig = make(DAILY, began=NOON)
    looks = []

    def is_behind() -> bool:
        looks.append(1)
        if len(looks) == 3:
            rig.ledger.add(ALICE, "p0", 6)
        return len(looks) < 4

    rig.behind = is_behind
    assert (await rig.seeded())[0].base == 6
    await rig.seeded("bob")
    assert (len(looks), rig.lines) == (4, [])


async def test_it_does_not_wait_for_ever(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY, began=NOON)
    rig.behind = lambda: True
    rig.now = NOON + seeding.FORMER_SECS
    assert (await rig.seeded())[0].seeded
    assert len(rig.lines) == 1


# -- while they are in use ----------------------------------------------------------------------------


async def test_a_refresh_tells_what_others_spent_and_what_was_credited(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY, balances=True)
    balance, daily = await rig.seeded()
    rig.ledger.add(ALICE, "p2", 7)
    rig.ledger.add("balance/total/alice", "p2", 7)
    rig.ledger.credited["alice"] = 500
    await rig.seeds.refresh()
    assert (daily.base, balance.base, balance.cap) == (7, 7, 500)
    rig.ledger.spend[ALICE]["p2"] = Spent(6, 6)
    await rig.seeds.refresh()
    assert daily.base == 6


async def test_a_credit_during_a_refresh_stays(make: Callable[..., SeededBook]) -> None:
    rig = make(balances=True)
    (balance,) = await rig.seeded()
    rig.ledger.open.clear()
    refresh = asyncio.create_task(rig.seeds.refresh())
    await until(lambda: len(rig.ledger.reads) == 2, "the read")
    rig.book.credited("alice", 500)
    rig.ledger.open.set()
    await refresh
    assert balance.cap == 500


async def test_a_counter_that_was_idle_is_read_before_its_next_use(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    (daily,) = await rig.seeded()
    for spent, held in ((0, 1), (0, 1), (4, 0)):  # it is in use
        rig.now += IDLE_SECS
        daily.spent, daily.held = spent, held
        await rig.seeds.refresh()
        assert daily.seeded
    rig.now += IDLE_SECS
    await rig.seeds.refresh()
    assert not daily.seeded
    rig.ledger.add(ALICE, "p2", 7)
    assert (await rig.seeded())[0].base == 7
    await rig.seeds.refresh()
    assert daily.seeded


async def test_a_counter_that_refuses_is_in_use(make: Callable[..., SeededBook]) -> None:
    """What is credited elsewhere has to be noticed."""
    rig = make(balances=True)
    (balance,) = await rig.seeded()
    holds = Holds(rig.book, exchange())
    await rig.seeds.refresh()
    for _ in range(3):
        rig.now += IDLE_SECS
        holds.refusal(Shortfall(balance, 1, 0))
        await rig.seeds.refresh()
    assert balance.seeded


async def test_with_many_counters_in_use_each_has_its_turn(
    make: Callable[..., SeededBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "MOST_REFRESHED", 3)
    monkeypatch.setattr(seeding, "_STRIDE", 2)
    rig = make(DAILY)
    for number in range(7):
        await rig.seeded(f"owner{number}")
    rig.ledger.reads.clear()
    for _ in range(3):
        await rig.seeds.refresh()
    assert {len(keys) for keys in rig.ledger.reads} == {3}
    assert len({key for keys in rig.ledger.reads for key in keys}) == 7


async def test_the_book_is_swept(make: Callable[..., SeededBook]) -> None:
    rig = make(DAILY)
    await rig.seeded()
    rig.now += 2 * 86400 + SWEEP_SECS
    await rig.seeds.refresh()
    assert len(rig.book) == 0


async def test_counters_are_refreshed_while_there_are_some(
    make: Callable[..., SeededBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeding, "REFRESH_SECS", 0.001)
    rig = make(DAILY)
    (daily,) = await rig.seeded()
    rig.ledger.down = True
    await until(lambda: len(rig.ledger.reads) > 3, "reads that fail")
    rig.ledger.down = False
    rig.ledger.add(ALICE, "p2", 7)
    await until(lambda: daily.base == 7, "the refresh")
    rig.now += 2 * 86400
    await until(lambda: len(rig.book) == 0, "the sweep")
    reads = len(rig.ledger.reads)
    await until(lambda: rig.seeds._following is not None and rig.seeds._following.done(), "the end")
    assert len(rig.ledger.reads) <= reads + 1


# -- a property ---------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 50)),
        st.tuples(st.just("record"), st.just(0)),
        st.tuples(st.just("other"), st.integers(0, 50)),
        st.tuples(st.just("refresh"), st.just(0)),
        st.tuples(st.just("idle"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("down"), st.booleans()),
    ),
    max_size=30,
)


@given(STEPS)
def test_nothing_that_was_spent_is_forgotten_or_counted_twice(steps: list[tuple[str, Any]]) -> None:
    """Of calls, late rows, other processes, outages and restarts, a refresh leaves the exact sum."""
    asyncio.run(_live(steps))


async def _live(steps: list[tuple[str, Any]]) -> None:
    rig, ledger, number, total, waiting = SeededBook(DAILY), MemoryLedger(), 1, 0, 0

    def begin() -> SeededBook:
        found = SeededBook(DAILY)
        found.ledger = found.seeds._source = found.seeds.sums._source = ledger
        found.book.process = f"p{number}"
        return found

    rig = begin()
    for step, amount in steps:
        match step:
            case "call":
                (daily,) = rig.counters()
                if not daily.seeded and not ledger.down:
                    await rig.book.seed((daily,))
                charge([(daily, 0, amount)])
                total, waiting = total + amount, waiting + amount
            case "record":
                ledger.add(ALICE, rig.book.process, waiting)
                waiting = 0
            case "other":
                ledger.add(ALICE, "q", amount)
                total += amount
            case "refresh" if not ledger.down:
                await rig.seeds.refresh()
            case "idle" if not ledger.down:
                rig.now += IDLE_SECS
                await rig.seeds.refresh()
            case "restart":
                ledger.add(ALICE, rig.book.process, waiting)
                waiting = 0
                await rig.seeds.close()
                number += 1
                rig = begin()
            case "down":
                ledger.down = amount
    ledger.down = False
    (daily,) = rig.counters()
    await rig.seeds.close()
    await rig.book.seed((daily,))
    await rig.seeds.refresh()
    assert daily.spent + daily.base == total
    await rig.seeds.close()
