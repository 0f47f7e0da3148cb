"""Where the recorder's rows go: a database, or (``ledger.mode: events``) the broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from proxy.events.settings import BrokerSettings, EventSettings
from proxy.ledger.recorder.announced import EventRoutes
from proxy.ledger.recorder.base import LedgerDatabase, Notices
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.recorder.health import BROKER, DATABASE, HealthWords
from proxy.ledger.recorder.journal import SettledJournal
from proxy.ledger.recorder.settings import RecorderSettings

if TYPE_CHECKING:
    from proxy.ledger.recorder.broker import BrokerLedger


class Destination(NamedTuple):
    """``journal``: of settled attempts, where the destination cannot tell which they are. ``words``: of its health.

    ``dead``: counts the broker's dead letters (-1: not known); ``None``: what sends the outbox does that.
    """

    ledger: LedgerDatabase
    journal: SettledJournal | None
    words: HealthWords
    dead: Callable[[], Awaitable[int]] | None = None


def destination_of(settings: RecorderSettings, bound: OutboxBound, log: Notices) -> Destination:
    """``bound``: of the outbox, which a broker has not. Raises ImportError if a package is missing."""
    events = settings.events
    if events.broker is not None and events.broker.ledger:
        broker = _broker(events, events.broker, log)
        return Destination(broker, SettledJournal(Path(settings.folder)), BROKER, broker.dead)
    ledger = open_ledger(settings.database, settings.default_balance, events.receivers, bound=bound)
    return Destination(ledger, None, DATABASE)


def _broker(events: EventSettings, broker: BrokerSettings, log: Notices) -> BrokerLedger:
    from proxy.events.broker.opening import open_publisher
    from proxy.ledger.recorder.broker import BrokerLedger

    return BrokerLedger(open_publisher(broker, log.warning, log.info), EventRoutes(events.receivers), broker.batch)
