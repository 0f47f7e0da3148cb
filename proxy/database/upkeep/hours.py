"""Sums by hour and dimensions, made from the rows as the recorder adds them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, select

from proxy.database.columns import DIMENSIONS, digest
from proxy.database.tables import LEDGER
from proxy.database.usage_query import MEASURES, Whole, hour_of, measures_of_rows

COLUMNS: Final = ("hour", *DIMENSIONS, *MEASURES)


def sums_of_rows(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The columns of ``COLUMNS``, from the rows that meet the conditions."""
    hour, names = hour_of(Whole(LEDGER.c.at)).label("hour"), [LEDGER.c[name] for name in DIMENSIONS]
    found = select(hour, *names, *measures_of_rows()).where(*conditions)
    return found.group_by(hour.name, *names)


def values_of(sums: Row[Any]) -> dict[str, Any]:
    """Values of ``LEDGER_HOURS`` from a row of ``COLUMNS``."""
    found = dict(zip(COLUMNS, sums, strict=True))
    found.update((name, int(found[name])) for name in MEASURES)  # PostgreSQL adds integers to a numeric
    found["digest"] = digest([found[name] for name in DIMENSIONS])
    return found
