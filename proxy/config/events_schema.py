"""The section ``events``: who is told what happens in the gateway."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from proxy.config.types import BrokerAddresses, ExchangeName, File, Section, WebhookAddress, WebhookSecret

EventType = Literal[
    "ai_usage",
    "transaction_created",
    "budget_threshold",
    "key_created",
    "key_revoked",
    "breaker_changed",
]


class Webhook(Section, frozen=True):
    """An address that gets events by POST, as CloudEvents in JSON.

    With ``secret`` they are signed as Standard Webhooks are: any text, or base64 after ``whsec_``.
    """

    url: WebhookAddress
    secret: WebhookSecret = ""
    types: list[EventType] = []  # []: all of them


class BrokerTls(Section, frozen=True):
    """TLS to the broker (``amqps://``, ``tls://``). Without ``ca_file`` the system's certificates are trusted."""

    ca_file: File = ""
    cert_file: File = ""
    key_file: File = ""


class Events(Section, frozen=True):
    """Who is told of events: a message broker, webhooks.

    ``url``: RabbitMQ (``amqp://``, ``amqps://``) or NATS (``nats://``, ``tls://``); commas separate addresses of one
    cluster. ``exchange``: of RabbitMQ; subjects of NATS begin with it. ``batch``: events in one message, at most; 1 is
    a message each. ``declare``: make the exchange and the queues, where they are missing. ``queue_type``: ``auto`` is
    quorum queues where ``url`` has several addresses. ``most_waiting``: events in the outbox; beyond it, ``on_full``
    lets the ledger's records ``wait`` in the spool, or forgets the events.
    """

    url: BrokerAddresses = ""
    tls: BrokerTls = field(default_factory=BrokerTls)
    exchange: ExchangeName = "sluice.events"
    types: list[EventType] = []  # for the broker; []: all of them
    batch: Annotated[int, Meta(ge=1, le=1000)] = 1
    declare: bool = True
    queue_type: Literal["auto", "classic", "quorum"] = "auto"
    most_waiting: Annotated[int, Meta(ge=1000, le=1_000_000_000)] = 1_000_000
    on_full: Literal["wait", "forget"] = "wait"
    webhooks: list[Webhook] = []
