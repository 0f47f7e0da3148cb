"""Counters that clients name."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from proxy.budgets.base import BudgetCounter, SpendBudget
from proxy.budgets.named import NamedCounters

RUNS = SpendBudget("runs", "run", "usd", 100, "run", ZoneInfo("UTC"))


def counter(key: str, *, spent: int = 0, held: int = 0) -> BudgetCounter:
    return BudgetCounter(key, RUNS, key, None, 100, spent=spent, held=held)


def filled(*counters: BudgetCounter) -> NamedCounters:
    found = NamedCounters(len(counters))
    for each in counters:
        assert not found.add(each)
    return found


def names(found: NamedCounters) -> str:
    return "".join(each.key for each in found)


def test_the_longest_unused_is_forgotten_first() -> None:
    found = filled(counter("a"), counter("b"), counter("c"))
    assert found.use("a") is found.find("a")
    assert found.add(counter("d"))
    assert names(found) == "cad"
    assert "b" not in found
    assert found.use("b") is None


def test_those_without_spend_are_forgotten_before_others() -> None:
    found = filled(counter("a", spent=1), counter("b"), counter("c", spent=1))
    found.add(counter("d"))
    assert names(found) == "acd"
    found.add(counter("e"))
    assert names(found) == "cde"


def test_what_holds_something_is_never_forgotten() -> None:
    found = filled(counter("a", held=1), counter("b", held=1))
    found.add(counter("c"))
    assert names(found) == "abc"
    assert found.pop("x") is None
    assert found.pop("a") is not None
    assert len(found) == 2


def test_many_are_forgotten_at_once() -> None:
    found = filled(*(counter(f"{number:04}") for number in range(1000)))
    found.add(counter("new"))
    assert len(found) == 991
