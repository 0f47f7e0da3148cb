"""The tables that the recorder writes, with the columns that it needs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.ledger.recorder import announced, hours, labels, spending
from proxy.ledger.row import COLUMNS

TABLES: Final[Mapping[str, Sequence[str]]] = {
    "ledger": COLUMNS,
    "ledger_hours": hours.COLUMNS,
    "ledger_labels": labels.COLUMNS,
    **spending.COLUMNS,
    **announced.COLUMNS,
}
