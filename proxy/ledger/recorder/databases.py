"""The databases that the recorder can write, each imported when it is used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from proxy.database.address import Address
from proxy.events.base import EventReceiver
from proxy.ledger.recorder.announced import EventRoutes
from proxy.ledger.recorder.base import LedgerDatabase
from proxy.ledger.recorder.bound import OutboxBound


def open_ledger(
    address: Address,
    default_balance: int = 0,
    receivers: Sequence[EventReceiver] = (),
    *,
    broker_has: Collection[str] = (),
    bound: OutboxBound | None = None,
) -> LedgerDatabase:
    """``default_balance``: nano-USD, of accounts that it has to open. Raises ImportError if the driver is missing.

    ``receivers``: whose events it puts into the outbox. ``broker_has``: types that it does not put in for the broker.
    """
    return _KINDS[address.kind](address.target, default_balance, EventRoutes(receivers, broker_has, bound))


def _sqlite(path: str, default_balance: int, routes: EventRoutes) -> LedgerDatabase:
    from proxy.ledger.recorder.sqlite import SqliteLedger

    return SqliteLedger(path, default_balance, routes)


def _postgresql(dsn: str, default_balance: int, routes: EventRoutes) -> LedgerDatabase:
    from proxy.ledger.recorder.postgres import PostgresLedger

    return PostgresLedger(dsn, default_balance, routes)


_KINDS: Final[dict[str, Callable[[str, int, EventRoutes], LedgerDatabase]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}
