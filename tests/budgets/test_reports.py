from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets.base import BALANCE, BudgetCounter, SpendBudget
from proxy.budgets.reports import report_of, used_percent
from tests.budgets.rig import NOON

NANO = 1_000_000_000


def counter_of(**budget: object) -> BudgetCounter:
    settings = {"name": "daily", "level": "owner", "unit": "usd", "cap": 5 * NANO, "window": "day"} | budget
    made = SpendBudget(zone=ZoneInfo("UTC"), **settings)  # type: ignore[arg-type]
    return BudgetCounter(f"{made.name}/2026-11-29/a/b", made, "a/b", NOON + 43_200, made.cap)


def test_a_report_has_amounts_in_usd_and_the_end_of_the_window() -> None:
    report = report_of(counter_of(), 80, 4_100_000_000, NOON + 0.25)
    assert msgspec.to_builtins(report) == {
        "id": report.id,
        "at": NOON + 0.25,
        "budget": "daily",
        "per": "owner",
        "subject": "a/b",
        "window": "2026-11-29",
        "threshold": 80,
        "used": 82,
        "unit": "usd",
        "spent": 4.1,
        "cap": 5.0,
        "soft": False,
        "renews": "2026-11-30T00:00:00Z",
    }
    assert report.key == "daily/2026-11-29/a/b"


def test_tokens_and_labels() -> None:
    report = report_of(counter_of(unit="tokens", cap=1000, level="label", label="team", soft=True), 50, 500, NOON)
    assert (report.per, report.unit, report.spent, report.cap, report.soft) == ("label:team", "tokens", 500, 1000, True)


def test_the_id_is_the_same_in_every_process_and_differs_by_what_is_reported() -> None:
    assert report_of(counter_of(), 80, 4 * NANO, NOON).id == report_of(counter_of(), 80, 5 * NANO, NOON + 9).id
    ids = {report_of(counter_of(cap=cap), percent, 1, NOON).id for cap in (NANO, 2 * NANO) for percent in (50, 80)}
    assert len(ids) == 4


def test_a_balance_has_another_id_on_another_day() -> None:
    one, same, next_ = (report_of(counter_of(name=BALANCE), 100, 1, at) for at in (NOON, NOON + 9, NOON + 86_400))
    assert one.id == same.id != next_.id


@given(st.integers(1, 1 << 62), st.integers(0, 1 << 62))
def test_a_percent_is_rounded_down(cap: int, spent: int) -> None:
    percent = used_percent(counter_of(cap=cap), spent)
    assert percent * cap <= spent * 100 < (percent + 1) * cap


@pytest.mark.parametrize("spent", [0, 1])
def test_a_cap_of_nothing_is_used(spent: int) -> None:
    assert used_percent(counter_of(cap=0), spent) == 100


def test_half_a_surrogate_pair_in_a_subject_keeps_no_event_back() -> None:
    """A model's name may have one."""
    counter = counter_of()
    counter.subject = "a\ud800"
    assert b'"a?"' in msgspec.json.encode(report_of(counter, 50, 1, NOON))
