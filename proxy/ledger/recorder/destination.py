"""Where the recorder's rows go: a database, or (``ledger.mode: events``) the broker."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from proxy.events.settings import BrokerSettings, EventSettings
from proxy.ledger.recorder.announced import EventRoutes
from proxy.ledger.recorder.base import LedgerDatabase, Notices
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.recorder.health import BROKER, DATABASE, HealthWords
from proxy.ledger.recorder.journal import SettledJournal
from proxy.ledger.recorder.settings import RecorderSettings


class Destination(NamedTuple):
    """``journal``: of settled attempts, where the destination cannot tell which they are. ``words``: of its health."""

    ledger: LedgerDatabase
    journal: SettledJournal | None
    words: HealthWords


def destination_of(settings: RecorderSettings, bound: OutboxBound, log: Notices) -> Destination:
    """``bound``: of the outbox, which a broker has not. Raises ImportError if a package is missing."""
    events = settings.events
    if events.broker is not None and events.broker.ledger:
        return Destination(_broker(events, events.broker, log), SettledJournal(Path(settings.folder)), BROKER)
    ledger = open_ledger(settings.database, settings.default_balance, events.receivers, bound=bound)
    return Destination(ledger, None, DATABASE)


def _broker(events: EventSettings, broker: BrokerSettings, log: Notices) -> LedgerDatabase:
    from proxy.events.broker.opening import open_publisher
    from proxy.ledger.recorder.broker import BrokerLedger

    return BrokerLedger(open_publisher(broker, log.warning, log.info), EventRoutes(events.receivers), broker.batch)
