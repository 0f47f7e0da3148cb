"""Events into the outbox of a SQLite file. Each function is part of a transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from msgspec import json

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder.announced import ENTRY, EventRoutes
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.recorder.spending import AccountTransfer
from proxy.ledger.row import Row

_PUT: Final = f"INSERT INTO outbox ({', '.join(ENTRY)}) VALUES ({', '.join('?' * len(ENTRY))})"
_NOTE: Final = "INSERT INTO event_ids (id, at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"

_EXPIRE_DEAD: Final = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE dead_at < ? LIMIT ?)"
_EXPIRE_IDS: Final = "DELETE FROM event_ids WHERE id IN (SELECT id FROM event_ids WHERE at < ? LIMIT ?)"
# Sending holds the receiver, so one that was not held for long is configured nowhere. ``?1``: when.
_USED: Final = "max(until, ifnull(sent_at, 0), ifnull(failed_at, 0)) >= ?1"
_KEPT: Final = "(SELECT value FROM json_each(?2))"
_EXPIRE_WAITING: Final = (
    "DELETE FROM outbox WHERE seq IN"  # first, as Python before 3.12 does not count the rows of a WITH
    " (WITH RECURSIVE names (name) AS (SELECT min(receiver) FROM outbox WHERE dead_at IS NULL UNION ALL"  # by the index
    " SELECT (SELECT min(receiver) FROM outbox WHERE dead_at IS NULL AND receiver > name) FROM names"
    " WHERE name IS NOT NULL)"
    " SELECT seq FROM outbox WHERE dead_at IS NULL AND at < ?1 AND receiver IN"
    f" (SELECT name FROM names WHERE name NOT IN {_KEPT}"
    f" AND NOT EXISTS (SELECT 1 FROM event_receivers WHERE event_receivers.name = names.name AND {_USED}))"
    " LIMIT ?3)"
)
_EXPIRE_RECEIVERS: Final = (
    f"DELETE FROM event_receivers WHERE name NOT IN {_KEPT} AND NOT {_USED}"
    " AND NOT EXISTS (SELECT 1 FROM outbox WHERE receiver = name AND dead_at IS NULL)"
)


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


def expire(cursor: sqlite3.Cursor, routes: EventRoutes, before: Expiry, most: int) -> bool:
    """Delete some of what is old, at most ``most`` rows of a kind. Returns whether there may be more."""
    for statement, moment in ((_EXPIRE_DEAD, before.dead), (_EXPIRE_IDS, before.event_ids)):
        if cursor.execute(statement, (moment, most)).rowcount == most:
            return True
    names = json.encode(routes.names).decode()
    if cursor.execute(_EXPIRE_WAITING, (before.receivers, names, most)).rowcount == most:
        return True
    cursor.execute(_EXPIRE_RECEIVERS, (before.receivers, names))
    return False
