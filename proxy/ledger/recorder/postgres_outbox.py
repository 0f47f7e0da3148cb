"""Events into the outbox in PostgreSQL. Each function is part of a transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder.announced import ENTRY, EventRoutes
from proxy.ledger.recorder.spending import AccountTransfer
from proxy.ledger.row import Row

# Sorted: two recorders with the same ids must not wait for each other.
_NOTE: Final = (
    "INSERT INTO event_ids (id, at) SELECT id, $2 FROM unnest($1::text[]) AS announced(id) ORDER BY id"
    " ON CONFLICT (id) DO NOTHING RETURNING id"
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
