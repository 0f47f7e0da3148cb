"""RabbitMQ by AMQP 0-9-1, as a broker of events."""

from __future__ import annotations

from collections.abc import Callable

from proxy.events.broker.amqp_dead_letters import AmqpDeadLetters
from proxy.events.broker.amqp_publisher import AmqpPublisher
from proxy.events.broker.amqp_subscription import AmqpSubscription
from proxy.events.settings import BrokerSettings


def open_publisher(settings: BrokerSettings, warn: Callable[..., None], log: Callable[..., None]) -> AmqpPublisher:
    return AmqpPublisher(settings, warn, log)


def open_subscription(
    settings: BrokerSettings, warn: Callable[..., None], log: Callable[..., None]
) -> AmqpSubscription:
    return AmqpSubscription(settings, warn, log)


def open_dead_letters(settings: BrokerSettings) -> AmqpDeadLetters:
    return AmqpDeadLetters(settings)
