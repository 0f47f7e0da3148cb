"""The database as the recorder uses it. ``sqlite.py`` and ``postgres.py`` implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.row import Row


class DatabaseUnavailable(Exception):
    """It cannot be reached, is locked, full or read-only, or refuses us: try again later. The text is for the log."""


class TablesOutdated(Exception):
    """A table or a column is missing: the migrations have to run."""


class RowsRejected(Exception):
    """At least one of the rows or events can never be inserted. The text says why."""


class LedgerDatabase(Protocol):
    """Connects at the first use, and again after a failure. Every method but ``close`` raises the exceptions above."""

    async def write(self, rows: Sequence[Row], events: Sequence[OutboxEvent] = ()) -> int:
        """Insert the rows that are not there yet, and add these to the sums, in one transaction.

        The sums are those by hour, by run and label, by budget counter, and of accounts, which get a transfer for each
        row that has their counter. An account that is missing is opened.

        In the same transaction the outbox gets the events of rows and transfers that were inserted, and those of
        ``events``, which gateways announced, whose ids it does not know.

        Returns how many rows were inserted. After an exception they may have been inserted all the same; writing them
        and the events again is safe.
        """
        ...

    async def present(self, keys: Sequence[tuple[float, str]]) -> set[str]:
        """The ids of those attempts, given by ``at`` and ``id``, that have their row."""
        ...

    async def expire(self, before: Expiry) -> bool:
        """Delete some of what is older.

        Returns whether there may be more. ``False`` also while another recorder does it.
        """
        ...

    async def close(self) -> None: ...


class Notices(Protocol):
    """Where the recorder's log lines go: ``lines.LineWriter``."""

    def info(self, message: str, **fields: object) -> None: ...

    def warning(self, message: str, **fields: object) -> None: ...

    def error(self, message: str, **fields: object) -> None: ...
