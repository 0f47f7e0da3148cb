"""RabbitMQ for tests: an exchange and queues of a test's own on a running broker, or a broker of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiormq
from aiormq.abc import DeliveredMessage
from aiormq.connection import Connection

from proxy.events.broker.amqp_topology import AmqpNames, names_of
from proxy.events.settings import BrokerSettings
from tests.support.services import rabbitmq_url


class RabbitExchange:
    """Names of a test's own on one broker. ``settings`` are for a publisher; each call here has a channel of its own."""

    def __init__(self, url: str, connection: Connection) -> None:
        self.url = url
        self.names: AmqpNames = names_of(f"test-{secrets.token_hex(6)}.events")
        self.connection = connection

    def settings(self, **changes: Any) -> BrokerSettings:
        return BrokerSettings(**({"addresses": (self.url,), "exchange": self.names.exchange} | changes))

    async def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """A method of aiormq's channel. What the broker refuses is raised."""
        channel = await self.connection.channel()
        try:
            return await getattr(channel, method)(*arguments, **options)
        finally:
            if not channel.is_closed:
                await channel.close()

    async def count(self, queue: str) -> int:
        """Messages in a queue; -1: there is none."""
        try:
            return int((await self.call("queue_declare", queue, passive=True)).message_count)
        except aiormq.exceptions.ChannelNotFoundEntity:
            return -1

    async def take(self, queue: str) -> list[DeliveredMessage]:
        """All messages of a queue, which is empty then."""
        found = []
        while (
            message := await self.call("basic_get", queue, no_ack=True)
        ).header.properties.message_id or message.body:
            found.append(message)
        return found

    async def ids(self, queue: str) -> list[str]:
        return [str(each.header.properties.message_id) for each in await self.take(queue)]

    async def delete(self) -> None:
        for queue in (self.names.dead, self.names.usage, self.names.analytics, self.names.ledger):
            with suppress(aiormq.AMQPError):
                await self.call("queue_delete", queue)
        for exchange in (self.names.exchange, self.names.dead):
            with suppress(aiormq.AMQPError):
                await self.call("exchange_delete", exchange)


@asynccontextmanager
async def rabbit_exchange(url: str = "") -> AsyncIterator[RabbitExchange]:
    """On the running broker, or on another. What was made under its names is deleted at the end."""
    url = url or rabbitmq_url()
    connection = await aiormq.connect(url)
    found = RabbitExchange(url, connection)
    try:
        yield found
    finally:
        await found.delete()
        await connection.close()


class Notes:
    """Stands for the log: ``warnings`` and ``lines`` are the texts."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.lines: list[str] = []
        self.fields: list[dict[str, object]] = []

    def warn(self, text: str, **fields: object) -> None:
        self.warnings.append(text)
        self.fields.append(fields)

    def log(self, text: str, **fields: object) -> None:
        self.lines.append(text)
