"""The databases that the recorder can write, each imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.database.address import Address
from proxy.ledger.recorder.base import LedgerDatabase


def open_ledger(address: Address, default_balance: int = 0) -> LedgerDatabase:
    """``default_balance``: nano-USD, of accounts that it has to open. Raises ImportError if the driver is missing."""
    return _KINDS[address.kind](address.target, default_balance)


def _sqlite(path: str, default_balance: int) -> LedgerDatabase:
    from proxy.ledger.recorder.sqlite import SqliteLedger

    return SqliteLedger(path, default_balance)


def _postgresql(dsn: str, default_balance: int) -> LedgerDatabase:
    from proxy.ledger.recorder.postgres import PostgresLedger

    return PostgresLedger(dsn, default_balance)


_KINDS: Final[dict[str, Callable[[str, int], LedgerDatabase]]] = {"sqlite": _sqlite, "postgresql": _postgresql}
