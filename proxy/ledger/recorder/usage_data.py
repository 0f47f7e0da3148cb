"""The ``data`` of the event of a row."""

from __future__ import annotations

from typing import Any

from msgspec.structs import astuple

from proxy.events.data import NANO
from proxy.ledger.row import Row


class UsageData(Row, array_like=False, gc=False):
    """All columns of a row, by name, so that a row can be made from it. ``cost_usd``: ``None`` if ``cost`` is."""

    cost_usd: float | None = None


def usage_data(row: Row) -> UsageData:
    values: Any = astuple(row)
    found = UsageData(*values)
    if row.cost is not None:
        found.cost_usd = row.cost / NANO
    return found
