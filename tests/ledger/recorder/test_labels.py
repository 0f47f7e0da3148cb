"""Sums by label, against a plain model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.ledger.recorder.hours import MOST, grouped
from proxy.ledger.recorder.labels import COLUMNS, SUMS, sums
from proxy.ledger.row import Row
from tests.ledger import store
from tests.ledger.recorder.test_hours import COUNTS
from tests.ledger.rows import ROW

ROWS = st.builds(
    lambda **changes: structs.replace(ROW, **changes),
    at=st.floats(1_790_000_000, 1_790_010_000),
    owner=st.sampled_from("ab"),
    model=st.sampled_from("mn"),
    team=st.sampled_from(("", "t")),
    run=st.sampled_from(("", "r", "s")),
    labels=st.dictionaries(st.sampled_from("xyz"), st.sampled_from(("", "1", "2"))),
    end=st.sampled_from(("ok", "lost")),
    cost=COUNTS,
    input=COUNTS,
)


def by_key(each: dict[str, Any]) -> tuple[Any, ...]:
    return each["name"], each["hour"], each["digest"]


def added(batches: Sequence[Sequence[Row]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """As the database adds them up."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for batch in batches:
        for each in (dict(zip(COLUMNS, values, strict=True)) for values in sums(grouped(batch))):
            there = found.get(by_key(each), dict.fromkeys(SUMS, 0))
            found[by_key(each)] = each | {name: there[name] + each[name] for name in SUMS}
    return found


@given(st.lists(st.lists(ROWS, max_size=8), max_size=5))
def test_sums_are_those_of_the_rows_however_they_are_split(batches: list[list[Row]]) -> None:
    rows = [row for batch in batches for row in batch]
    for each in rows:  # as priced, which the model of the store does not tell apart
        each.cost_source = "operator" if each.cost is not None else "unpriced"
        each.usage_source = "provider"
    assert added(batches) == {by_key(each): each for each in store.labels(rows)}


@given(st.lists(ROWS, max_size=20))
def test_sums_come_in_the_order_of_the_key_and_each_row_counts_in_all_once(rows: list[Row]) -> None:
    found = [dict(zip(COLUMNS, each, strict=True)) for each in sums(grouped(rows))]
    assert [*map(by_key, found)] == sorted({*map(by_key, found)})
    counted = Counter[str]()
    for each in found:
        counted[each["name"]] += each["attempts"]
    assert counted[""] == len(rows)
    assert counted["run"] == sum(bool(row.run) for row in rows)
    assert counted["label:x"] == sum(bool(row.labels.get("x")) for row in rows)


@pytest.mark.parametrize("changes", [{"input": MOST + 1}, {"at": float("nan")}])
def test_absurd_numbers_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        sums(grouped([structs.replace(ROW, **changes)]))
