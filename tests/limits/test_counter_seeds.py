"""Reads of counters from the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from proxy.budgets.base import BudgetCounter
from proxy.limits.counter_seeds import CounterSeeds
from proxy.limits.counter_sums import SharedCounter
from proxy.limits.shared_counters import CounterSeed
from tests.limits.budget_contract import counter
from tests.support import until

ANN = SharedCounter(counter(100, subject="ann"), b"ann")
BEN = SharedCounter(counter(100, subject="ben"), b"ben")


class Reads:
    """A reader whose reads are answered by the test, and what was found."""

    def __init__(self) -> None:
        self.waiting: list[tuple[list[str], asyncio.Future[Mapping[str, Mapping[str, int]]]]] = []
        self.found: list[CounterSeed] = []
        self.failures: list[tuple[list[SharedCounter], str]] = []
        self.seeds = CounterSeeds(
            self.found.append, lambda counters, reason: self.failures.append((list(counters), reason)), self
        )

    async def read(self, counters: Sequence[BudgetCounter]) -> Mapping[str, Mapping[str, int]]:
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append(([each.subject for each in counters], answer))
        found: Mapping[str, Mapping[str, int]] = await answer
        return found


async def test_a_counter_is_read_once_at_a_time() -> None:
    reads = Reads()
    for deaths in (1, 2):
        reads.seeds.ask([ANN], deaths)
    await until(lambda: reads.waiting, "a read")
    reads.seeds.ask([ANN, BEN], 3)
    [(subjects, answer)] = reads.waiting
    assert subjects == ["ann"]
    answer.set_result({ANN.counter.key: {"ended": 5}})
    await until(lambda: len(reads.waiting) == 2, "another read")
    assert reads.found == [CounterSeed(ANN, 1, {"ended": 5})]
    assert reads.waiting[1][0] == ["ben"]
    reads.waiting[1][1].set_result({})
    await until(lambda: len(reads.found) == 2, "what it found")
    assert reads.found[1] == CounterSeed(BEN, 3, {})
    reads.seeds.ask([ANN], 4)
    await until(lambda: len(reads.waiting) == 3, "a third read")
    await reads.seeds.close()


async def test_many_counters_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.limits.counter_seeds.MOST_PER_READ", 2)
    reads = Reads()
    reads.seeds.ask([SharedCounter(counter(1, subject=str(number)), b"") for number in range(5)], 1)
    for number in range(3):
        await until(lambda: len(reads.waiting) == number + 1, "a read")  # noqa: B023
        reads.waiting[number][1].set_result({})
    await until(lambda: len(reads.found) == 5, "all of them")
    assert [subjects for subjects, _ in reads.waiting] == [["0", "1"], ["2", "3"], ["4"]]


async def test_a_failure_is_told_and_the_next_read_tries_again() -> None:
    reads = Reads()
    reads.seeds.ask([ANN], 1)
    await until(lambda: reads.waiting, "a read")
    reads.waiting[0][1].set_exception(ConnectionRefusedError("postgresql://someone:secret@host"))
    await until(lambda: reads.failures, "a failure")
    assert reads.failures == [([ANN], "ConnectionRefusedError")]  # without what may contain a password
    reads.seeds.ask([ANN], 1)
    await until(lambda: len(reads.waiting) == 2, "another read")
    await reads.seeds.close()


async def test_a_read_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.limits.counter_seeds.TIMEOUT", 0.01)
    reads = Reads()
    reads.seeds.ask([ANN], 1)
    await until(lambda: reads.failures, "a failure")
    assert reads.failures == [([ANN], "no answer within 0.01 s")]


async def test_without_a_ledger_nothing_was_spent() -> None:
    reads = Reads()
    reads.seeds.reader = None
    reads.seeds.ask([ANN, BEN], 7)
    assert reads.found == [CounterSeed(ANN, 7, {}), CounterSeed(BEN, 7, {})]
