"""``sluice ledger consume`` as a process: its signals, what runs beside it, and its exit status."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.database.address import Address
from proxy.events.broker.opening import open_subscription
from proxy.events.broker.reading import LedgerSubscription
from proxy.events.settings import EventSettings
from proxy.ledger.consumer.consumer import MOST_ROWS, LedgerConsumer
from proxy.ledger.recorder.announced import USAGE_EVENT
from proxy.ledger.recorder.base import Notices
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.recorder.retention import Retention
from proxy.ledger.recorder.upgrade import run_upgrade
from proxy.runtime.cancelling import cancel_until_done

if TYPE_CHECKING:
    from proxy.events.sending.deliveries import Deliveries

DONE: Final = 0
LEFT: Final = 1  # messages may be left

CLOSE_SECS: Final = 4.0  # that the ends of all connections may take
SENT_SECS: Final = 10.0  # that ``once`` waits for events that its rows made
LOOK_SECS: Final = 0.1


class ConsumerSettings(Struct, frozen=True):
    """``events.broker`` gives the rows. It gets events of the transfers that they make, and webhooks those of both."""

    database: Address
    events: EventSettings
    default_balance: int = 0  # of a new account, in nano-USD
    keep_days: float = 90.0
    keep_hours_days: float = 730.0
    once: bool = False


async def run_consumer(settings: ConsumerSettings, log: Notices) -> int:
    """Consume until SIGTERM or SIGINT, or with ``once`` until no message waits. Returns the exit status.

    Raises ImportError if a package is missing.
    """
    assert settings.events.broker is not None
    return await _Consuming(settings, open_subscription(settings.events.broker, log.warning, log.info), log).run()


class _Consuming:
    def __init__(self, settings: ConsumerSettings, subscription: LedgerSubscription, log: Notices) -> None:
        events = settings.events
        self._settings = settings
        self._subscription = subscription
        self._log = log
        self._bound = OutboxBound(events.on_full)
        self._database = open_ledger(
            settings.database, settings.default_balance, events.receivers, broker_has=(USAGE_EVENT,), bound=self._bound
        )
        # With a connection of its own: rows and retention do not wait for each other.
        self._old = open_ledger(settings.database, receivers=events.receivers)
        self._retention = Retention(self._old, settings.keep_days, settings.keep_hours_days)
        self._deliveries = _deliveries(settings, log)
        batch = 1 if events.broker is None else events.broker.batch
        self._consumer = LedgerConsumer(
            subscription,
            self._database,
            log,
            lambda: run_upgrade(settings.database),
            wrote=self._wrote,
            most=max(1, MOST_ROWS // batch),
            once=settings.once,
            bound=self._bound,
        )

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        consuming = asyncio.create_task(self._consumer.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            # What it was writing is undone, or its messages come again: nothing needs to end in good order.
            loop.add_signal_handler(number, cancel_until_done, consuming)
        looking = asyncio.create_task(self._look())
        if self._deliveries is not None:
            self._deliveries.start()
        self._log.info("Rows of the ledger are taken from the broker.", database=str(self._settings.database))
        try:
            await asyncio.wait((consuming,))
            if not consuming.cancelled():
                consuming.result()
                await self._send_rest()
        finally:
            looking.cancel()
            await self._close()
        consumer = self._consumer
        self._log.info("No more rows are taken from the broker.", rows=consumer.rows, refused=consumer.refused)
        return LEFT if self._settings.once and not consumer.emptied else DONE

    def _wrote(self) -> None:
        if self._deliveries is not None:
            self._deliveries.wake()

    async def _look(self) -> None:
        while True:
            if self._deliveries is not None:
                self._bound.full = self._deliveries.full
            await self._retention.step()
            await asyncio.sleep(LOOK_SECS)

    async def _send_rest(self) -> None:
        """Let the events of the last rows go out. What cannot be sent stays in the outbox."""
        if self._deliveries is None:
            return
        began = time.monotonic()
        self._deliveries.wake()
        while not self._deliveries.finished(began) and time.monotonic() - began < SENT_SECS:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECS)

    async def _close(self) -> None:
        closing = [self._subscription.close(), self._database.close(), self._old.close()]
        if self._deliveries is not None:
            closing.append(self._deliveries.close())
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECS):
                await asyncio.gather(*closing, return_exceptions=True)


def _deliveries(settings: ConsumerSettings, log: Notices) -> Deliveries | None:
    """What sends the outbox: any number of processes may try, and one does for each receiver."""
    if not settings.events.receivers:
        return None
    from proxy.events.sending.opening import open_deliveries

    return open_deliveries(settings.events, settings.database, secrets.token_hex(8), log)
