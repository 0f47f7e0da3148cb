from __future__ import annotations

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observe.family import CellsOfLast, CellsOfPair, Count, Family, HistogramCell, single


def counters(bound: int, *labels: str, closed: tuple[str, ...] = ()) -> Family[Count]:
    return Family("things_total", "counter", "Things.", labels, Count, bound=bound, closed=closed)


def test_the_same_labels_find_the_same_cell() -> None:
    family = counters(10, "provider", "model")
    assert family.cell("a", "b") is family.cell("a", "b")
    assert family.cell("a", "b") is not family.cell("b", "a")


def test_a_full_family_counts_the_rest_under_other() -> None:
    family = counters(5, "provider")
    for number in range(20):
        family.cell(f"p{number}").value += 1
    assert set(family.cells) == {("p0",), ("p1",), ("p2",), ("p3",), ("other",)}
    assert family.cells[("other",)].value == 16


def test_a_label_set_from_before_keeps_its_cell_when_the_family_is_full() -> None:
    family = counters(3, "provider")
    first = family.cell("p0")
    for number in range(10):
        family.cell(f"p{number}")
    assert family.cell("p0") is first


def test_other_keeps_a_closed_last_label() -> None:
    family = counters(4, "provider", "outcome", closed=("ok", "error"))
    for number in range(10):
        for outcome in ("ok", "error"):
            family.cell(f"p{number}", outcome).value += 1
    assert set(family.cells) == {("p0", "ok"), ("p0", "error"), ("other", "ok"), ("other", "error")}
    assert family.cells[("other", "error")].value == 9


@given(
    bound=st.integers(4, 30),
    labels=st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from(["x", "y", "other"]))),
)
def test_a_family_never_has_more_cells_than_its_bound(bound: int, labels: list[tuple[str, str]]) -> None:
    family = counters(bound, "model", "direction", closed=("x", "y", "other"))
    for pair in labels:
        family.cell(*pair).value += 1
    assert len(family.cells) <= bound
    assert sum(cell.value for cell in family.cells.values()) == len(labels)


def test_a_row_makes_each_cell_when_it_is_first_used() -> None:
    family = counters(10, "provider", "model", "outcome", closed=("ok", "error"))
    row = CellsOfPair(family, ("a", "b"))
    assert not family.cells
    row["ok"].value += 2
    assert family.cell("a", "b", "ok").value == 2
    assert set(family.cells) == {("a", "b", "ok")}


def test_a_column_makes_each_cell_when_it_is_first_used_and_none_beyond_the_bound() -> None:
    family = counters(3, "provider", "reason")
    column = CellsOfLast(family, "ok")
    assert not family.cells
    for provider in "abcabc":
        column[provider].value += 1
    assert {labels: cell.value for labels, cell in family.cells.items()} == {
        ("a", "ok"): 2,
        ("b", "ok"): 2,
        ("other", "other"): 2,
    }


@pytest.mark.parametrize(("value", "bucket"), [(0.0, 0), (1.0, 0), (1.5, 1), (2.0, 1), (2.1, 2), (1e9, 2)])
def test_a_bucket_includes_its_upper_bound(value: float, bucket: int) -> None:
    spread = HistogramCell((1.0, 2.0))
    spread.observe(value)
    assert spread.counts.index(1) == bucket
    assert spread.sum == value


@given(st.lists(st.floats(0, 1000)))
def test_buckets_hold_what_is_at_most_their_bound(values: list[float]) -> None:
    bounds = (0.5, 1.0, 10.0, 100.0)
    spread = HistogramCell(bounds)
    for value in values:
        spread.observe(value)
    for index, bound in enumerate(bounds):
        assert sum(spread.counts[: index + 1]) == bisect.bisect_right(sorted(values), bound)
    assert sum(spread.counts) == len(values)


@given(st.lists(st.floats(0, 1000) | st.sampled_from((0.5, 1.0, 10.0, 100.0))), st.integers(1, 10))
def test_reading_a_histogram_does_not_change_it(values: list[float], every: int) -> None:
    bounds = (0.5, 1.0, 10.0, 100.0)
    spread, one_by_one = HistogramCell(bounds), [0] * 5
    for number, value in enumerate(values):
        spread.observe(value)
        one_by_one[bisect.bisect_left(bounds, value)] += 1
        if number % every == 0:
            spread.fold()
    assert spread.counts == one_by_one
    assert spread.sum == pytest.approx(sum(values))


def test_a_single_number_is_a_family_without_labels() -> None:
    family = single("llm_requests_in_flight", "gauge", "Running.", 7)
    assert family.cells[()].value == 7
    assert family.labels == ()
