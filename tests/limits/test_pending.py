from __future__ import annotations

import pytest

from proxy.limits.base import Cost, Limit
from proxy.limits.batch import Batch, Slot
from proxy.limits.leases import Leases
from proxy.limits.pending import Pending, Sent

TOKENS = Limit("model", "tokensPerMinute", "model:tokensPerMinute", 1000.0, 10.0)
SLOT: Slot = ("model:concurrent", "gpt")


def tokens(amount: float, key: str = "gpt") -> Cost:
    return Cost(TOKENS, key, amount)


def drain(pending: Pending) -> Sent:
    return pending.fill(Batch("p"), Leases())


def amounts(corrections: list[Cost]) -> dict[str, float]:
    assert len({cost.key for cost in corrections}) == len(corrections)
    return {cost.key: cost.amount for cost in corrections}


def test_sent_entries_leave_the_queue() -> None:
    pending = Pending()
    assert not pending
    pending.correct(tokens(5))
    pending.release(SLOT, 1)
    assert len(pending) == 2
    assert drain(pending).released == [(SLOT, 1)]
    assert not pending


def test_one_call_carries_a_thousand_of_each() -> None:
    pending = Pending()
    for number in range(2500):
        pending.correct(tokens(number))
    pieces = [drain(pending).corrections for _ in range(3)]
    assert [len(piece) for piece in pieces] == [1000, 1000, 500]
    assert [cost.amount for piece in pieces for cost in piece] == list(range(2500))


def test_corrections_of_a_bucket_are_merged_over_the_bound() -> None:
    pending = Pending(100)
    for number in range(1001):
        pending.correct(tokens(1.0, str(number % 10)))
    assert len(pending) <= 100
    sums: dict[str, float] = {}
    for cost in drain(pending).corrections:
        sums[cost.key] = sums.get(cost.key, 0.0) + cost.amount
    assert sum(sums.values()) == 1001.0
    assert sums["0"] == 101.0


def test_corrections_under_different_limits_are_not_added_up() -> None:
    other = Limit("model", "tokensPerMinute", TOKENS.name, 2000.0, 20.0)
    pending = Pending(4)
    for _ in range(2):
        pending.correct(tokens(1.0))
        pending.correct(Cost(other, "gpt", 7.0))
    pending.correct(tokens(1.0))
    assert [(cost.limit, cost.amount) for cost in drain(pending).corrections] == [(other, 14.0), (TOKENS, 3.0)]


def test_the_oldest_buckets_are_dropped_over_the_bound() -> None:
    pending = Pending(100)
    for number in range(101):
        pending.correct(tokens(1.0, str(number)))
    assert list(amounts(drain(pending).corrections)) == [str(number) for number in range(51, 101)]


def test_the_oldest_released_slots_expire_over_the_bound() -> None:
    pending = Pending(3)
    for lease in range(5):
        pending.release(SLOT, lease)
    assert drain(pending).released == [(SLOT, 2), (SLOT, 3), (SLOT, 4)]


@pytest.mark.parametrize("corrections", [True, False])
def test_after_a_failure_entries_are_sent_again_in_order(corrections: bool) -> None:
    pending = Pending()
    for number in range(3):
        pending.correct(tokens(number))
        pending.release(SLOT, number)
    failed = drain(pending)
    pending.correct(tokens(3))
    pending.release(SLOT, 3)
    pending.put_back(failed, corrections=corrections)
    again = drain(pending)
    assert [cost.amount for cost in again.corrections] == ([0, 1, 2, 3] if corrections else [3])
    assert [lease for _, lease in again.released] == [0, 1, 2, 3]


def test_requeued_slots_respect_the_bound() -> None:
    pending = Pending(3)
    for lease in range(3):
        pending.release(SLOT, lease)
    failed = drain(pending)
    pending.release(SLOT, 3)
    pending.release(SLOT, 4)
    pending.put_back(failed, corrections=True)
    assert len(drain(pending).released) == 3


def test_a_slot_released_in_the_meantime_is_not_renewed() -> None:
    leases, pending, batch = Leases(), Pending(), Batch("p")
    leases.add(SLOT, 1)
    leases.add(("model:concurrent", "other"), 2)
    pending.renew(leases)
    leases.remove(SLOT, 1)
    pending.fill(batch, leases)
    assert batch.keys() == [b"{p}:model:concurrent:other"]
    assert not pending
