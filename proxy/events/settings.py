"""Settings of events that the recorder gets at its start: plain values, which JSON carries."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from proxy.config.broker_checks import addresses
from proxy.config.events_schema import Events
from proxy.events.base import EventReceiver, receivers_of, webhook_name


class BrokerSettings(Struct, frozen=True):
    """``addresses``: of one cluster. Files: ``""``: none. ``ledger``: the ledger's rows go there, too."""

    addresses: tuple[str, ...]
    exchange: str = "sluice.events"
    batch: int = 1
    declare: bool = True
    quorum: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    ledger: bool = False


class WebhookSettings(Struct, frozen=True):
    """``name``: as a receiver."""

    name: str
    url: str
    secret: str = ""


class EventSettings(Struct, frozen=True):
    """``most_waiting``: events in the outbox; what then happens is ``on_full``.

    ``proxies``: variables that name forward proxies, for webhooks; ``{}``: those of the process.
    """

    receivers: tuple[EventReceiver, ...] = ()
    broker: BrokerSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    most_waiting: int = 1_000_000
    on_full: Literal["wait", "forget"] = "wait"
    proxies: dict[str, str] = {}


def event_settings(events: Events, *, ledger: bool) -> EventSettings:
    """``ledger``: ``ledger.mode`` is ``events``."""
    return EventSettings(
        receivers_of(events),
        broker_settings(events, ledger=ledger) if events.url else None,
        tuple(WebhookSettings(webhook_name(each.url), str(each.url), str(each.secret)) for each in events.webhooks),
        events.most_waiting,
        events.on_full,
    )


def broker_settings(events: Events, *, ledger: bool) -> BrokerSettings:
    found, tls = tuple(addresses(events.url)), events.tls
    quorum = events.queue_type == "quorum" or (events.queue_type == "auto" and len(found) > 1)
    files = (str(tls.ca_file), str(tls.cert_file), str(tls.key_file))
    return BrokerSettings(found, events.exchange, events.batch, events.declare, quorum, *files, ledger)
