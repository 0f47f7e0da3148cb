"""The databases that the outbox can be in, each imported when it is used."""

from __future__ import annotations

from proxy.database.address import Address
from proxy.events.outbox.base import EventOutbox


def open_outbox(address: Address) -> EventOutbox:
    """Connects later. Raises ImportError if the driver is missing."""
    if address.kind == "sqlite":
        from proxy.events.outbox.sqlite import SqliteOutbox

        return SqliteOutbox(address.target)
    from proxy.events.outbox.postgres import PostgresOutbox

    return PostgresOutbox(address.target)
