"""Sums of rows, against a plain model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.database.columns import CLASSES, DIMENSIONS, digest
from proxy.ledger.recorder.hours import COLUMNS, MOST, grouped, sums
from proxy.ledger.row import Row
from tests.ledger.rows import ROW

COUNTS = st.none() | st.integers(0, 10**9)
ROWS = st.builds(
    lambda **changes: structs.replace(ROW, **changes),
    at=st.floats(1_790_000_000, 1_790_010_000),
    owner=st.sampled_from("ab"),
    run=st.sampled_from(("", "r")),
    labels=st.dictionaries(st.sampled_from("xy"), st.sampled_from(("", "1", "2"))),
    model=st.sampled_from(("m", "")),
    answered=st.booleans(),
    usage_source=st.sampled_from(("provider", "estimated", "unknown", "none")),
    cost=COUNTS,
    end=st.sampled_from(("ok", "cached")),
    ended_ms=st.none() | st.floats(0, 10**6),
    first_content_ms=st.none() | st.floats(0, 10**6),
    saved=COUNTS,
    **dict.fromkeys(CLASSES, COUNTS),
)


def model_of(rows: list[Row]) -> dict[str, Any]:
    """The sum of rows of one hour and dimensions, one expression for each column."""
    of = {
        name: [row for row in rows if row.usage_source == name] for name in ("provider", "estimated", "unknown", "none")
    }
    ended = [row.ended_ms for row in rows if row.ended_ms is not None]
    first = [row.first_content_ms for row in rows if row.first_content_ms is not None]
    known = of["provider"] + of["none"]
    return {
        "attempts": len(rows),
        "answered": sum(row.answered for row in rows),
        "failed": sum(not row.answered for row in rows),
        "estimated": len(of["estimated"]),
        "unknown": len(of["unknown"]),
        "unpriced": sum(row.cost is None for row in of["provider"] + of["estimated"]),
        "duration_ms": sum(int(each + 0.5) for each in ended),
        "first_content_ms": sum(int(each + 0.5) for each in first),
        "with_first_content": len(first),
        **{name: sum(getattr(row, name) or 0 for row in rows) for name in CLASSES},
        "cost": sum(row.cost or 0 for row in known),
        "cost_estimated": sum(row.cost or 0 for row in rows if row not in known),
        "from_cache": sum(row.end == "cached" for row in rows),
        "saved": sum(row.saved or 0 for row in rows),
    }


@given(st.lists(ROWS, max_size=20))
def test_every_column_is_the_sum_of_its_rows(rows: list[Row]) -> None:
    groups: dict[tuple[int, tuple[str, ...]], list[Row]] = {}
    for row in rows:
        key = int(row.at) // 3600 * 3600, tuple(getattr(row, name) for name in DIMENSIONS)
        groups.setdefault(key, []).append(row)
    expected = {
        (hour, digest(names)): dict(zip(DIMENSIONS, names, strict=True)) | model_of(own)
        for (hour, names), own in groups.items()
    }
    found = [dict(zip(COLUMNS, each, strict=True)) for each in sums(grouped(rows))]
    assert {(each.pop("hour"), each.pop("digest")): each for each in found} == expected
    assert [each[:2] for each in sums(grouped(rows))] == sorted(expected)


@pytest.mark.parametrize(
    "changes", [{"input": MOST + 1}, {"cost": -MOST - 1}, {"ended_ms": 1e300}, {"at": float("nan")}]
)
def test_absurd_numbers_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        sums(grouped([structs.replace(ROW, **changes)]))
