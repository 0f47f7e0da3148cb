"""Metric families with a bounded number of cells. Counting costs a dictionary lookup and an addition.

prometheus_client's ``labels().inc()`` and ``observe()`` take a lock each and compare bucket after bucket, several
microseconds per exchange. Here everything runs in the event loop's thread, so no lock is needed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Generic, Literal, TypeVar

OTHER = "other"

Kind = Literal["counter", "gauge", "histogram"]


class Count:
    """One number: a counter's or a gauge's."""

    __slots__ = ("value",)

    def __init__(self, value: float = 0) -> None:
        self.value = value


class HistogramCell:
    """One histogram.

    ``observe`` appends to a list, which is cheaper than finding a bucket. ``fold`` sorts the values into the buckets.
    It is called from time to time, and before ``counts`` and ``sum`` are read.
    """

    __slots__ = ("_counts", "_sum", "_values", "bounds", "observe")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._values: list[float] = []
        self.observe: Callable[[float], None] = self._values.append

    @property
    def counts(self) -> list[int]:
        """Counts by bucket, not cumulative; the last one has no bound."""
        self.fold()
        return self._counts

    @property
    def sum(self) -> float:
        self.fold()
        return self._sum

    def fold(self) -> None:
        """Sort observed values into their buckets."""
        values, bounds, at = self._values, self.bounds, 0
        if not values:
            return
        self._sum += sum(values)
        values.sort()
        while at < len(values):
            bucket, next_ = bisect_left(bounds, values[at]), len(values)  # left: a bucket includes its bound ("le")
            if bucket < len(bounds):
                next_ = bisect_right(values, bounds[bucket], at + 1)
            self._counts[bucket] += next_ - at
            at = next_
        values.clear()


Cell = TypeVar("Cell", Count, HistogramCell)


class Family(Generic[Cell]):
    """All cells of one metric, by label values.

    If ``bound`` cells exist, further label sets share the cell of ``other``. ``closed``: the values of the last label
    if they are few and fixed. The last label then keeps its value in the shared cells.
    """

    __slots__ = ("_closed", "_make", "_room", "cells", "documentation", "kind", "labels", "name")

    def __init__(
        self,
        name: str,
        kind: Kind,
        documentation: str,
        labels: tuple[str, ...],
        make: Callable[[], Cell],
        *,
        bound: int,
        closed: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.kind = kind
        self.documentation = documentation
        self.labels = labels
        self.cells: dict[tuple[str, ...], Cell] = {}
        self._make: Callable[[], Cell] = make
        self._closed = bool(closed)
        self._room = bound - max(1, len(closed))  # the rest is for the cells of "other"

    def __repr__(self) -> str:
        return f"<Family {self.name} {len(self.cells)}>"

    def cell(self, *values: str) -> Cell:
        """The cell for these label values, or the one for ``other``."""
        cell = self.cells.get(values)
        if cell is None and len(self.cells) >= self._room:
            kept = values[-1:] if self._closed else ()
            values = (OTHER,) * (len(values) - len(kept)) + kept
            cell = self.cells.get(values)
        if cell is None:
            cell = self.cells[values] = self._make()
        return cell

    def make_room(self, firsts: Iterable[str]) -> None:
        """If it is full, remove the cells whose first label is not among ``firsts``, but not those of ``other``."""
        if len(self.cells) >= self._room:
            kept = {OTHER, *firsts}
            self.cells = {labels: cell for labels, cell in self.cells.items() if labels[0] in kept}


def single(name: str, kind: Literal["counter", "gauge"], documentation: str, value: float) -> Family[Count]:
    """A family of one number without labels."""
    family = Family(name, kind, documentation, (), Count, bound=1)
    family.cells[()] = Count(value)
    return family


class CellsOfLast(dict[str, Count]):
    """Cells of one value of the last of two labels, by the first; each made at first use."""

    __slots__ = ("_family", "_last")

    def __init__(self, family: Family[Count], last: str) -> None:
        self._family = family
        self._last = last

    def __missing__(self, first: str) -> Count:
        cell = self[first] = self._family.cell(first, self._last)
        return cell


class CellsOfPair(dict[str, Count]):
    """Cells of one (provider, model), by the last label; each made at first use."""

    __slots__ = ("_family", "_labels")

    def __init__(self, family: Family[Count], labels: tuple[str, str]) -> None:
        self._family = family
        self._labels = labels

    def __missing__(self, last: str) -> Count:
        cell = self[last] = self._family.cell(*self._labels, last)
        return cell
