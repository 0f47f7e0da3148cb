"""Events without a transaction: the gateway records them in the spool, and the recorder puts them into the outbox."""

from __future__ import annotations

from proxy.events.base import GatewayEvent
from proxy.events.receivers import EventReceivers
from proxy.ledger.ledger import Ledger


class EventAnnouncer:
    """An ``Announcer``. Events that no receiver gets are not recorded, and neither are any without a ledger."""

    def __init__(self, receivers: EventReceivers, ledger: Ledger | None) -> None:
        self._receivers = receivers
        self._ledger = ledger

    def offer(self, event: GatewayEvent) -> None:
        if self._ledger is not None and self._receivers.want(event.type):
            self._ledger.announce(event)
