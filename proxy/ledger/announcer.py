"""Events that happen in the gateway without a transaction: by the spool to the recorder, which tells receivers."""

from __future__ import annotations

from proxy.events.base import GatewayEvent
from proxy.events.receivers import EventReceivers
from proxy.ledger.ledger import Ledger


class EventAnnouncer:
    """An ``EventSink``. Events that no receiver gets are not recorded, and neither are any without a ledger."""

    def __init__(self, receivers: EventReceivers, ledger: Ledger | None) -> None:
        self._receivers = receivers
        self._ledger = ledger

    def offer(self, event: GatewayEvent) -> None:
        if self._ledger is not None and self._receivers.want(event.type):
            self._ledger.announce(event)
