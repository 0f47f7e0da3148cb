"""Who gets events now, and the rows of the outbox for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.config.events_schema import EventType
from proxy.events.base import EventReceiver, GatewayEvent
from proxy.events.cloudevent import waiting
from proxy.events.data import transaction_event

if TYPE_CHECKING:  # with these comes SQLAlchemy
    from proxy.database.accounts import TransferRows
    from proxy.database.outbox import OutboxRow
    from proxy.database.transfers import Transaction


class EventReceivers:
    """The receivers of the configuration. A reload replaces them."""

    def __init__(self, receivers: Sequence[EventReceiver] = ()) -> None:
        self._receivers = tuple(receivers)

    def __repr__(self) -> str:
        return f"<EventReceivers {[each.name for each in self._receivers]}>"

    def __bool__(self) -> bool:
        return bool(self._receivers)

    def adopt(self, receivers: Sequence[EventReceiver]) -> None:
        """Replace them. Events that wait for one that is left out stay in the outbox."""
        self._receivers = tuple(receivers)

    def want(self, type_: EventType) -> bool:
        """Whether any receiver gets events of this type."""
        return any(each.takes(type_) for each in self._receivers)

    def rows(self, event: GatewayEvent) -> list[OutboxRow]:
        """A row for each receiver that gets the event; ``[]``: there is none."""
        names = [each.name for each in self._receivers if each.takes(event.type)]
        if not names:
            return []
        made = waiting(event)
        body = made.body.decode()
        return [{"id": made.id, "receiver": name, "type": made.type, "at": made.at, "body": body} for name in names]

    def transfers(self) -> TransferRows | None:
        """What ``AccountTable`` adds to the outbox with each transfer; ``None``: nothing, as no receiver gets it."""
        return self._of_transfer if self.want("transaction_created") else None

    def _of_transfer(self, account: str, made: Transaction, balance: int, sequence: int) -> Sequence[OutboxRow]:
        return self.rows(transaction_event(account, made, balance=balance, sequence=sequence))
