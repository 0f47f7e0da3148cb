"""Deleting old rows and sums, some at a time, once an hour."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from proxy.ledger.recorder.base import DatabaseUnavailable, LedgerDatabase, RowsRejected, TablesOutdated
from proxy.ledger.recorder.expiry import expiry

EVERY_SECS: Final = 3600.0
FIRST_SECS: Final = 60.0  # after the start, which has other work


class Retention:
    """``now`` is monotonic, ``wall`` in Unix seconds."""

    def __init__(
        self,
        database: LedgerDatabase,
        keep_days: float,
        keep_hours_days: float,
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._keep = keep_days, keep_hours_days
        self._now = now
        self._wall = wall
        self._due = now() + FIRST_SECS

    async def step(self) -> None:
        """Delete some, if it is time. A database that fails is tried again in an hour: it is not urgent."""
        if self._now() < self._due:
            return
        try:
            more = await self._database.expire(expiry(self._wall(), *self._keep))
        except (DatabaseUnavailable, TablesOutdated, RowsRejected):
            more = False
        if not more:
            self._due = self._now() + EVERY_SECS
