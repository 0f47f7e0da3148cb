"""Encoding of counters for one call, and what is adopted of its reply."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets.base import BudgetCounter, Wants
from proxy.limits.counter_sums import EXACT, CallTerms, CounterSums, SharedCounter
from tests.limits.budget_contract import counter

TERMS = CallTerms("known", "fresh", 3, True, False, 5.0, (0.6, 1.2), b"{p}:budgets")


def shared(one: BudgetCounter) -> SharedCounter:
    return SharedCounter(one, b"{p}:budget:" + one.key.encode())


def want(sums: CounterSums, take: int, known: list[SharedCounter], wants: Wants) -> None:
    sums.want(take, wants, {each.counter.key: each for each in known}, shared)


def test_counters_are_sent_once_with_their_sums_and_the_wants_of_takes() -> None:
    daily, soft = counter(100), counter(50, "soft", soft=True)
    daily.spent, daily.held, daily.ends = 7, 5, 1010.0
    one, other = shared(daily), shared(soft)
    sums = CounterSums()
    want(sums, 1, [one, other], ((daily, 3), (soft, 4)))
    sums.seed(one, 9, {"ended": 2})
    sums.seed(other, None, {})
    sums.add(one)
    sums.say(TERMS)
    assert sums.keys() == [b"{p}:budget:daily/total/alice", b"{p}:budget:soft/total/alice", b"{p}:budgets"]
    assert sums.argument(3) == (
        "known",
        "fresh",
        3,
        True,
        False,
        5e6,
        (0.6e6, 1.2e6),
        [7, 5, 100, 1010.0, False, 0, 0, False, False, False],
        [(), [1, 3, 2, 4], ()],
        [[1, 9, "ended", 2], [2, False]],
    )


def test_without_wants_takes_are_not_listed() -> None:
    sums = CounterSums()
    sums.say(TERMS)
    assert sums.argument(500)[8] == ()


def test_a_counter_that_is_left_holds_nothing() -> None:
    daily, sums = counter(100), CounterSums()
    daily.held = 5
    sums.add(shared(daily), leaves=True)
    sums.say(TERMS)
    assert sums.argument(0)[7] == [0, -1, 100, False, False]


def test_a_reply_says_what_others_spent_and_what_is_not_seeded() -> None:
    ann, ben, eve = counter(100), counter(100, subject="ben"), counter(100, subject="eve")
    each = [shared(ann), shared(ben), shared(eve)]
    sums = CounterSums()
    want(sums, 0, each[:2], ((ann, 1), (ben, 1)))
    sums.add(each[2])
    assert sums.answered([30, 0, 1, 4, 20, 0, 0, 0, 0]) == [each[1]]
    assert [(one.base, one.spent) for one in (ann, ben, eve)] == [
        (30, 0),
        (4, 20),
        (0, 0),
    ]


@given(
    cap=st.integers(EXACT + 1, 10**18),
    spent=st.integers(0, 10**18),
    held=st.integers(0, 10**18),
    wanted=st.integers(0, 10**30),
)
def test_above_what_is_exact_amounts_are_thousands_rounded_to_the_safe_side(
    cap: int, spent: int, held: int, wanted: int
) -> None:
    huge = counter(cap)
    huge.spent, huge.held = spent, held
    sums = CounterSums()
    want(sums, 0, [shared(huge)], ((huge, wanted),))
    sums.say(TERMS)
    argument = sums.argument(1)
    sent_spent, sent_held, sent_cap, _, micro = argument[7]  # type: ignore[misc]
    [[_, amount]] = argument[8]  # type: ignore[misc]
    assert micro is True
    assert spent <= sent_spent * 1000 < spent + 1000
    assert held <= sent_held * 1000 < held + 1000
    assert cap - 1000 < sent_cap * 1000 <= cap
    assert amount == min(-(-wanted // 1000), EXACT)
    assert amount > sent_cap or amount * 1000 >= wanted
    assert all(number <= EXACT for number in (sent_spent, sent_held, sent_cap, amount))
    sums.answered([5, 0, 1])
    assert (huge.base, huge.spent) == (5000, spent)
    assert sums.amount(huge, 7.0) == 7000


def test_a_counter_grows_to_thousands_and_adopts_them() -> None:
    """What its process had sent before in thousands is more than the counter made anew knows."""
    huge = counter(EXACT + 1)
    huge.spent = 1500
    sums = CounterSums()
    sums.add(shared(huge))
    sums.answered([0, 3, 1])  # 5 thousands are there, 2 were sent
    assert huge.spent == 5000
