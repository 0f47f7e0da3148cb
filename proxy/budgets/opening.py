"""Where the counters of budgets are read from: the database of the ledger, if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from proxy.budgets.book import Book
from proxy.budgets.ledger_spend import LedgerSpend
from proxy.budgets.seeding import LedgerSeeds
from proxy.config.schema import Config
from proxy.database.address import address_of
from proxy.database.opening import LazyEngine
from proxy.events.receivers import EventReceivers
from proxy.ledger.recorder.folders import has_left
from proxy.ledger.spool.folder import spool_folder
from proxy.observe.log import Log
from proxy.pricing.currency import ExchangeRate


class ConfigInForce(Protocol):
    """``running_config.RunningConfig``: the configuration in force."""

    @property
    def config(self) -> Config: ...


def open_seeds(
    live: ConfigInForce, database: LazyEngine, reader: LazyEngine, book: Book, log: Log, receivers: EventReceivers
) -> LedgerSeeds | None:
    """``None``: no ledger is kept, so each process counts from 0.

    Reads from ``database``. ``reader`` keeps no connection; of SQLite it reads the same file, where a connection would
    be a thread. ``receivers`` get the first transfers of accounts that are made.
    """
    start = live.config
    if not start.has_ledger:
        return None
    sqlite = address_of(start.database, start.data_dir).kind == "sqlite"
    kept = reader if sqlite else database
    source = LedgerSpend(kept, lambda: _default_balance(live.config), log.warning, receivers.transfers)
    folder = spool_folder(start.data_dir)
    return LedgerSeeds(source, book, is_behind=lambda: _is_behind(folder), warn=log.warning)


def _default_balance(config: Config) -> int:
    """In nano-USD."""
    billing = config.billing
    return ExchangeRate(billing.rate).nano(billing.default_balance)


def _is_behind(spool: Path) -> bool:
    try:
        return has_left(spool)
    except OSError:
        return False
