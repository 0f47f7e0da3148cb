"""Months (UTC), each of which has a partition of the ledger in PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import NamedTuple

_TABLE = re.compile(r"ledger_(\d{4})_(\d\d)")


class Month(NamedTuple):
    """Unix seconds of its begin and its end; the name of its partition."""

    begin: int
    end: int
    table: str


def month_of(at: float) -> Month:
    """Raises ValueError for a time that no calendar has."""
    try:
        day = datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from None
    return _month(day.year, day.month)


def months_of(moments: Sequence[float]) -> set[Month]:
    """Raises ValueError as ``month_of`` does. Usually all moments are in one month, which takes two conversions."""
    if not isfinite(sum(moments)):  # the least and the greatest of them mean nothing then
        raise ValueError("not a time")
    ends = {month_of(min(moments)), month_of(max(moments))}
    return ends if len(ends) == 1 else {month_of(at) for at in moments}


def month_named(table: str) -> Month | None:
    """The month of a partition; ``None``: the table is not one of ours."""
    found = _TABLE.fullmatch(table)
    return _month(int(found[1]), int(found[2])) if found else None


def _month(year: int, month: int) -> Month:
    begin = datetime(year, month, 1, tzinfo=UTC)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return Month(int(begin.timestamp()), int(end.timestamp()), f"ledger_{year:04}_{month:02}")
