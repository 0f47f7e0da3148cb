"""The outbox in the database, as the routes use it. Errors are those of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from proxy.control.live import LiveConfig
from proxy.database.health import Unreachable
from proxy.database.opening import LazyEngine
from proxy.database.outbox_rows import Changed, DeadEvent, DeadFilter, ReceiverStanding
from proxy.errors import ConfigError, GatewayError
from proxy.events.base import receivers_of

if TYPE_CHECKING:
    from proxy.database.outbox_views import OutboxTable

_MISSING: Final = "No events wait here: set events.url or events.webhooks, database.enabled and ledger.enabled."


class EventsDown(GatewayError):
    """The database does not answer."""

    status = 503
    code = "events_unavailable"


class EventStore:
    """Raises ``EventsDown``, and GatewayError (501) where no outbox is in a database.

    ``database`` is the one that is written to, ``reader`` where pages read. It is that of the writer too, unless it is
    a replica, which may be late: then an event would be shown as dead after it was sent again.
    """

    def __init__(self, database: LazyEngine, reader: LazyEngine, live: LiveConfig) -> None:
        self._database = database
        self._reader = reader
        self._live = live

    @property
    def kept(self) -> bool:
        """Whether events wait in the database: it has the ledger, and there are receivers."""
        config = self._live.config
        return config.has_ledger and bool(config.events.url or config.events.webhooks)

    async def survey(self) -> tuple[float, list[ReceiverStanding]]:
        """The time, and the receivers of the configuration first."""
        async with self._using() as table:
            return await table.survey([each.name for each in receivers_of(self._live.config.events)])

    async def dead(self, wanted: DeadFilter, limit: int, after: tuple[float, int] | None = None) -> Sequence[DeadEvent]:
        """See ``OutboxTable``."""
        async with self._using() as table:
            return await table.dead(wanted, limit, after)

    async def send_again(self, wanted: DeadFilter) -> Changed:
        async with self._using() as table:
            return await table.send_again(wanted)

    async def delete(self, wanted: DeadFilter) -> Changed:
        async with self._using() as table:
            return await table.delete(wanted)

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[OutboxTable]:
        if not self.kept:
            raise _none(_MISSING)
        # A kept connection to SQLite is a thread, which costs each token something: the reader keeps none.
        used = self._database if self._live.config.database.read_url else self._reader
        try:
            engine = used.get()
        except ConfigError as error:
            raise _none(" ".join(error.mistakes)) from None
        from proxy.database.outbox_views import OutboxTable

        try:
            yield OutboxTable(engine)
        except Unreachable as reason:
            text = "The database of events does not answer."
            raise EventsDown(text, retry_after=1, detail=str(reason)) from None


def _none(reason: str) -> GatewayError:
    return GatewayError(reason, status=501, code="no_outbox")
