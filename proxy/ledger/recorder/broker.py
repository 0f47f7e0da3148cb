"""The broker in the place of the ledger's database: rows go there as events, for `sluice ledger consume`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import structs

from proxy.events.base import OutboxEvent
from proxy.events.broker.base import BrokerUnavailable, Publisher
from proxy.events.cloudevent import waiting
from proxy.events.sending.broker import messages
from proxy.ledger.recorder.announced import EventRoutes, usage_event
from proxy.ledger.recorder.base import DatabaseUnavailable
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.row import Row


class BrokerLedger:
    """Rows are ``ai_usage`` events that ``sluice ledger consume`` gets, too, whatever ``routes`` says of their type.

    A record that is read again, as after a restart, is sent again under the same id. ``batch``: events in one message,
    at most.
    """

    def __init__(self, publisher: Publisher, routes: EventRoutes, batch: int) -> None:
        self._publisher = publisher
        self._routes = routes
        self._batch = batch

    async def write(self, rows: Sequence[Row], events: Sequence[OutboxEvent] = ()) -> int:
        """Returns when the broker has confirmed all of them. Raises DatabaseUnavailable."""
        usage = [waiting(usage_event(row)) for row in rows]
        sent = [structs.replace(each, ledger=True) for each in messages(usage, self._batch)]
        sent += messages(self._routes.wanted(events), self._batch)
        try:
            await self._publisher.publish(sent)
        except BrokerUnavailable as error:
            raise DatabaseUnavailable(str(error)) from None
        return len(rows)

    async def present(self, keys: Collection[tuple[float, str]]) -> set[str]:
        """None: a broker cannot be asked. ``journal.SettledJournal`` is, instead."""
        return set()

    async def expire(self, before: Expiry) -> bool:
        return False

    async def dead(self) -> int:
        """As ``Publisher.dead``."""
        return await self._publisher.dead()

    async def close(self) -> None:
        await self._publisher.close()
