"""Sums of rows by hour and dimensions, as in the table ``ledger_hours``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add, attrgetter
from typing import Any, Final, TypeVar

from proxy.database.columns import CACHED, CLASSES, COSTS, COUNTS, DIMENSIONS, SAVINGS, digest
from proxy.ledger.row import Row

HOUR: Final = 3600
MOST: Final = 10**15
"""Of a sum that is added to a column: a greater one might not fit, and then its hour would take no more."""

SUMS: Final = (*COUNTS, *CLASSES, *COSTS, *SAVINGS)
COLUMNS: Final = ("hour", "digest", *DIMENSIONS, *SUMS)

_Key = TypeVar("_Key", bound=tuple[object, ...])

_dimensions: Final = attrgetter(*DIMENSIONS)
_classes: Final = attrgetter(*CLASSES)
_FIRST_CLASS: Final = len(COUNTS)
_COST: Final = SUMS.index("cost")
_COST_ESTIMATED: Final = SUMS.index("cost_estimated")
_FROM_CACHE: Final = SUMS.index("from_cache")
_SAVED: Final = SUMS.index("saved")
_NOTHING: Final = [0] * len(SUMS)


Alike = tuple[float, tuple[str, ...], str, tuple[tuple[str, str], ...]]
"""What rows have in common: a number of hours, the values of ``DIMENSIONS``, the run, the labels. No named tuple, which
would take 0.3 us more a row.
"""

Groups = dict[Alike, list[int]]
"""Sums in the order of ``SUMS``."""


def grouped(rows: Iterable[Row]) -> Groups:
    """Rows that are alike, added up: a batch has far fewer groups than rows, and each group has several sums."""
    groups: Groups = {}
    for row in rows:
        labels = row.labels
        key = row.at // HOUR, _dimensions(row), row.run, (*labels.items(),) if labels else ()
        total = groups.get(key)
        if total is None:
            total = groups[key] = _NOTHING.copy()
        _add(total, row)
    return groups


def sums(groups: Groups) -> list[tuple[Any, ...]]:
    """One tuple in the order of ``COLUMNS`` for each hour and dimensions, in the order of the table's key.

    That order is the same in every transaction, so that two recorders never wait for each other. Raises ValueError or
    OverflowError for numbers that are absurd.
    """
    totals: dict[tuple[float, tuple[str, ...]], Sequence[int]] = {}
    for (hour, names, _, _), numbers in groups.items():
        add_to(totals, (hour, names), numbers)
    check(totals.values())
    return sorted((int(hour) * HOUR, digest(names), *names, *total) for (hour, names), total in totals.items())


def add_to(totals: dict[_Key, Sequence[int]], key: _Key, numbers: Sequence[int]) -> None:
    """Add numbers to the sums of a key. Changes no sequence of numbers."""
    total = totals.get(key)
    totals[key] = numbers if total is None else [*map(add, total, numbers)]


def check(totals: Iterable[Sequence[int]]) -> None:
    """Raises ValueError for a sum that the database could not add to its own."""
    for total in totals:
        if max(total) > MOST or min(total) < -MOST:
            raise ValueError("a number is beyond what an attempt can have")


def _add(total: list[int], row: Row) -> None:
    """The first numbers of ``total`` are those of ``COUNTS``."""
    source, cost, ended, first = row.usage_source, row.cost, row.ended_ms, row.first_content_ms
    total[0] += 1
    total[1 if row.answered else 2] += 1
    if source == "estimated":
        total[3] += 1
    elif source == "unknown":
        total[4] += 1
    if cost is not None:
        total[_COST if source == "provider" or source == "none" else _COST_ESTIMATED] += cost
    elif source == "provider" or source == "estimated":
        total[5] += 1
    if ended is not None:
        total[6] += int(ended + 0.5)
    if first is not None:
        total[7] += int(first + 0.5)
        total[8] += 1
    if row.end == CACHED:
        total[_FROM_CACHE] += 1
    if row.saved:
        total[_SAVED] += row.saved
    place = _FIRST_CLASS
    for tokens in _classes(row):
        if tokens:
            total[place] += tokens
        place += 1
