"""Events into the outbox in PostgreSQL. Each function is part of a transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder.announced import ENTRY, EventRoutes
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.recorder.spending import AccountTransfer
from proxy.ledger.row import Row

# Sorted: two recorders with the same ids must not wait for each other.
_NOTE: Final = (
    "INSERT INTO event_ids (id, at) SELECT id, $2 FROM unnest($1::text[]) AS announced(id) ORDER BY id"
    " ON CONFLICT (id) DO NOTHING RETURNING id"
)

_EXPIRE_DEAD: Final = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE dead_at < $1 LIMIT $2)"
_EXPIRE_IDS: Final = "DELETE FROM event_ids WHERE id IN (SELECT id FROM event_ids WHERE at < $1 LIMIT $2)"
# Sending holds the receiver, so one that was not held for long is configured nowhere. ``$1``: when.
_USED: Final = "greatest(until, sent_at, failed_at) >= $1"
_EXPIRE_WAITING: Final = (
    "WITH RECURSIVE names (name) AS (SELECT min(receiver) FROM outbox WHERE dead_at IS NULL UNION ALL"  # by the index
    " SELECT (SELECT min(receiver) FROM outbox WHERE dead_at IS NULL AND receiver > name) FROM names"
    " WHERE name IS NOT NULL)"
    " DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE dead_at IS NULL AND at < $1 AND receiver IN"
    " (SELECT name FROM names WHERE name <> ALL($2::text[])"
    f" AND NOT EXISTS (SELECT 1 FROM event_receivers WHERE event_receivers.name = names.name AND {_USED}))"
    " LIMIT $3)"
)
_EXPIRE_RECEIVERS: Final = (
    f"DELETE FROM event_receivers WHERE name <> ALL($2::text[]) AND NOT {_USED}"
    " AND NOT EXISTS (SELECT 1 FROM outbox WHERE receiver = name AND dead_at IS NULL)"
)


async def add(
    connection: Any,
    routes: EventRoutes,
    rows: Sequence[Row],
    transfers: Sequence[AccountTransfer],
    events: Sequence[OutboxEvent],
) -> int:
    """Put in the events of rows and transfers that were inserted, and of ``events`` those that are new.

    Returns how many were dropped instead, since the outbox is full.
    """
    new = routes.wanted(events)
    if new:
        now = time.time()  # not when it happened: a record may be read again days later
        noted = {id for (id,) in await connection.fetch(_NOTE, [each.id for each in new], now)}  # noqa: A001
        new = [each for each in new if each.id in noted]
    if routes.bound.forgets:
        return routes.count(len(rows), len(transfers), len(new))
    entries = [*routes.entries(rows, transfers, new)]
    if entries:
        await connection.copy_records_to_table("outbox", records=entries, columns=ENTRY)
    return 0


async def expire(connection: Any, routes: EventRoutes, before: Expiry, most: int) -> bool:
    """Delete some of what is old, at most ``most`` rows of a kind. Returns whether there may be more."""
    for statement, moment in ((_EXPIRE_DEAD, before.dead), (_EXPIRE_IDS, before.event_ids)):
        if await connection.execute(statement, moment, most) == f"DELETE {most}":
            return True
    if await connection.execute(_EXPIRE_WAITING, before.receivers, routes.names, most) == f"DELETE {most}":
        return True
    await connection.execute(_EXPIRE_RECEIVERS, before.receivers, routes.names)
    return False
