"""What goes into the outbox: the events of rows, those of transfers, and those that gateways announced. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from proxy.config.events_schema import EventType
from proxy.events.base import BROKER, EventReceiver, GatewayEvent, OutboxEvent
from proxy.events.cloudevent import waiting
from proxy.events.data import moment, transaction_event
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.spending import AccountTransfer, ended_at
from proxy.ledger.recorder.usage_data import usage_data
from proxy.ledger.row import Row

USAGE_EVENT: Final[EventType] = "ai_usage"
TRANSACTION_EVENT: Final[EventType] = "transaction_created"

ENTRY: Final = ("id", "receiver", "type", "at", "body")
COLUMNS: Final = {
    "outbox": (*ENTRY, "seq", "dead_at"),
    "event_ids": ("id", "at"),
    "event_receivers": ("name", "until", "sent_at", "failed_at"),
}
"""That the recorder needs, by table."""


class OutboxEntry(NamedTuple):
    """A row of the outbox: an event for one of its receivers. ``at``: Unix seconds. ``body``: JSON."""

    id: str
    receiver: str
    type: str
    at: float
    body: str


class EventRoutes:
    """Who gets the events of which type. ``bound``: of the outbox.

    ``broker_has``: types that the broker gets in another way, so that they are left out for it.
    """

    def __init__(
        self,
        receivers: Sequence[EventReceiver] = (),
        broker_has: Collection[str] = (),
        bound: OutboxBound | None = None,
    ) -> None:
        self.receivers = tuple(receivers)
        self.names = tuple(each.name for each in self.receivers)
        self.bound = OutboxBound() if bound is None else bound
        self._broker_has = frozenset(broker_has)
        self.usage = self.takers(USAGE_EVENT)
        """Receivers of the events of rows."""
        self.transactions = self.takers(TRANSACTION_EVENT)
        """Receivers of the events of transfers."""

    def takers(self, type_: str) -> tuple[str, ...]:
        """Names of the receivers of a type."""
        left_out = BROKER if type_ in self._broker_has else ""
        return tuple(each.name for each in self.receivers if each.takes(type_) and each.name != left_out)

    def wanted(self, events: Iterable[OutboxEvent]) -> list[OutboxEvent]:
        """Those that a receiver takes, the first of each id."""
        found: dict[str, OutboxEvent] = {}
        for each in events:
            if self.takers(each.type):
                found.setdefault(each.id, each)
        return [*found.values()]

    def entries(
        self, rows: Iterable[Row], transfers: Iterable[AccountTransfer], announced: Iterable[OutboxEvent]
    ) -> Iterator[OutboxEntry]:
        """Of rows and transfers that were inserted, and of announced events that are new.

        Raises ValueError for an event whose body is no text.
        """
        if self.usage:
            for row in rows:
                yield from _entries(waiting(usage_event(row)), self.usage)
        if self.transactions:
            for transfer in transfers:
                yield from _entries(waiting(event_of(transfer)), self.transactions)
        for event in announced:
            yield from _entries(event, self.takers(event.type))

    def count(self, rows: int, transfers: int, announced: int) -> int:
        """How many events ``entries`` has."""
        return (rows if self.usage else 0) + (transfers if self.transactions else 0) + announced


def usage_event(row: Row) -> GatewayEvent:
    """Its id is that of the row."""
    at = moment(ended_at(row))
    return GatewayEvent(row.id, USAGE_EVENT, at, row.owner or row.client or row.provider, usage_data(row))


def event_of(transfer: AccountTransfer) -> GatewayEvent:
    return transaction_event(transfer.account, transfer, balance=transfer.balance, sequence=transfer.sequence)


def _entries(event: OutboxEvent, receivers: tuple[str, ...]) -> Iterator[OutboxEntry]:
    body = event.body.decode()
    for receiver in receivers:
        yield OutboxEntry(event.id, receiver, event.type, event.at, body)
