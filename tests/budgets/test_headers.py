from __future__ import annotations

from proxy.budgets.base import BudgetCounter
from proxy.budgets.headers import budget_line
from tests.budgets.test_reports import counter_of


def fired(spent: int, **budget: object) -> BudgetCounter:
    counter = counter_of(unit="tokens", cap=100, **budget)
    counter.spent, counter.fired = spent, 50
    return counter


def test_counters_that_have_reached_a_threshold_are_named() -> None:
    run = fired(55, name="run", level="run")
    run.ends = None
    quiet = counter_of(name="quiet")
    assert budget_line([fired(82), quiet, run]) == (
        b"x-router-budget: daily; used=82; renews=2026-11-30T00:00:00Z, run; used=55\r\n"
    )


def test_what_others_spend_together_is_not_shown() -> None:
    levels = ["everyone", "model", "provider", "team", "project", "label", "owner", "key", "run"]
    line = budget_line([fired(60, name=level, level=level) for level in levels]).decode()
    assert [part.partition(";")[0].split()[-1] for part in line.split(",")] == levels[3:]


def test_there_is_no_line_before_a_threshold() -> None:
    assert budget_line([counter_of()]) == budget_line([]) == b""


def test_the_text_is_made_again_when_the_percent_changes() -> None:
    counter = fired(82)
    budget_line([counter])
    first = counter.warning
    budget_line([counter])
    assert counter.warning is first
    counter.base = 5
    assert b"used=87" in budget_line([counter])
