"""The deliveries as they are configured. What a receiver needs is imported only where there is one."""

from __future__ import annotations

import os
import time
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from proxy.database.address import Address
from proxy.events.base import BROKER
from proxy.events.outbox.opening import open_outbox
from proxy.events.sending.base import EventLog, EventSender
from proxy.events.sending.deliveries import Deliveries
from proxy.events.sending.delivery import DeliveryClocks, EventDelivery
from proxy.events.settings import EventSettings

if TYPE_CHECKING:
    import ssl

    from proxy.events.broker.base import Publisher


def open_deliveries(settings: EventSettings, address: Address, holder: str, log: EventLog) -> Deliveries:
    """``holder``: no other process has the same at a time; one that starts anew may have that of the former one.

    Raises ImportError if a package is missing. Nothing is connected before ``start``.
    """
    chance, clocks = Random(), DeliveryClocks(time.time, time.monotonic)
    outbox, publisher = open_outbox(address), _publisher(settings, log)
    senders: dict[str, EventSender] = {}
    if publisher is not None and settings.broker is not None:
        from proxy.events.sending.broker import BrokerSender

        senders[BROKER] = BrokerSender(publisher, settings.broker.batch, chance)
    if settings.webhooks:
        from proxy.events.sender import WebhookSender
        from proxy.events.sending.webhook import WebhookReceiver

        send = WebhookSender(settings.proxies or os.environ, tls_context, time.time)
        for each in settings.webhooks:
            senders[each.name] = WebhookReceiver(each, send, time.time, chance)
    deliveries = [EventDelivery(name, outbox, each, holder, clocks, log) for name, each in senders.items()]
    return Deliveries(deliveries, [*senders.values()], outbox, publisher, settings.most_waiting, clocks)


@cache
def tls_context() -> ssl.SSLContext:
    """For webhooks. Reading the system's certificates takes some tens of milliseconds."""
    import ssl

    return ssl.create_default_context()


def _publisher(settings: EventSettings, log: EventLog) -> Publisher | None:
    if settings.broker is None:
        return None
    from proxy.events.broker.opening import open_publisher

    return open_publisher(settings.broker, log.warning, log.info)
