"""Usage as JSON and as CSV."""

from __future__ import annotations

import csv
import io

import pytest

from proxy.control.usage.views import UsageView, usage_csv, usage_sums
from proxy.database.usage_query import SUMS

SOME = dict.fromkeys(SUMS, 0) | {
    "attempts": 5,
    "with_duration": 4,
    "answered": 3,
    "duration_ms": 10,
    "first_content_ms": 7,
    "with_first_content": 2,
    "cost": 1_234_567_890_123,
    "input": 5,
    "from_cache": 2,
    "saved": 1_500_000_000,
}


def test_costs_are_exact_in_nano_dollars_and_averages_are_of_those_that_have_a_time() -> None:
    sums = usage_sums(SOME, 3600)
    assert (sums.cost_nano, sums.cost_usd) == (1_234_567_890_123, 1234.567890123)
    assert (sums.latency_ms, sums.first_content_ms, sums.last_hour) == (2.5, 3.5, "1970-01-01T01:00:00Z")


def test_what_the_cache_saved_is_a_column() -> None:
    sums = usage_sums(SOME, None, {"owner": "ann"})
    assert (sums.from_cache, sums.saved_usd, sums.saved_nano) == (2, 1.5, 1_500_000_000)
    head, row = csv.reader(io.StringIO(usage_csv(UsageView("", "", "UTC", ("owner",), [sums], sums, False)).decode()))
    found = dict(zip(head, row, strict=True))
    assert (found["owner"], found["from_cache"], found["saved_usd"], found["saved_nano"]) == (
        *("ann", "2", "1.5", "1500000000"),
    )


def test_nothing_has_no_averages() -> None:
    sums = usage_sums(dict.fromkeys(SUMS, 0), None)
    assert (sums.latency_ms, sums.first_content_ms, sums.last_hour) == (None, None, None)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_begins_a_formula(name: str) -> None:
    view = UsageView(
        "", "", "UTC", ("model",), [usage_sums(SOME, None, {"model": name})], usage_sums(SOME, None), False
    )
    head, row = csv.reader(io.StringIO(usage_csv(view).decode(), newline=""))
    assert row[0] == f"'{name}"
    assert dict(zip(head, row, strict=True))["input_tokens"] == "5"
