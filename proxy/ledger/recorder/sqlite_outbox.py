"""Events into the outbox of a SQLite file. Each function is part of a transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder.announced import ENTRY, EventRoutes
from proxy.ledger.recorder.spending import AccountTransfer
from proxy.ledger.row import Row

_PUT: Final = f"INSERT INTO outbox ({', '.join(ENTRY)}) VALUES ({', '.join('?' * len(ENTRY))})"
_NOTE: Final = "INSERT INTO event_ids (id, at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"


def add(
    cursor: sqlite3.Cursor,
    routes: EventRoutes,
    rows: Sequence[Row],
    transfers: Sequence[AccountTransfer],
    events: Sequence[OutboxEvent],
) -> int:
    """Put in the events of rows and transfers that were inserted, and of ``events`` those that are new.

    Returns how many were dropped instead, since the outbox is full.
    """
    now = time.time()  # not when it happened: a record may be read again days later
    new = [each for each in routes.wanted(events) if cursor.execute(_NOTE, (each.id, now)).rowcount]
    if routes.bound.forgets:
        return routes.count(len(rows), len(transfers), len(new))
    cursor.executemany(_PUT, routes.entries(rows, transfers, new))
    return 0
