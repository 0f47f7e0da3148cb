"""Looks at the dead letters of RabbitMQ, and sends them again to the queue that they came from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from math import isfinite
from typing import Any, Final

import aiormq
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from proxy.events.broker.amqp_confirms import SAFE, AmqpConfirms, OutgoingMessage
from proxy.events.broker.amqp_link import LIMIT_SECS, AmqpDialer, AmqpLink, reasons
from proxy.events.broker.amqp_subscription import QUEUE_HEADER, REASON_HEADER, TIME_HEADER
from proxy.events.broker.amqp_topology import names_of
from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.reading import DeadLetter
from proxy.events.settings import BrokerSettings

TOGETHER: Final = 100  # messages that are sent again before their confirms

_OWN: Final = ("CC", QUEUE_HEADER, REASON_HEADER, TIME_HEADER)


class AmqpDeadLetters:
    """Implements DeadLetters. Messages that it only looks at go back to their place when the channel is closed."""

    def __init__(self, settings: BrokerSettings, dialer: AmqpDialer | None = None) -> None:
        self._dialer = dialer or AmqpDialer(settings, "sluice events dead")
        self._queue = names_of(settings.exchange).dead
        self._link: AmqpLink | None = None

    async def look(self, most: int) -> list[DeadLetter]:
        link = await self._open()
        async with self._reading(link) as channel:
            found: list[DeadLetter] = []
            while len(found) < most and (message := await self._next(channel, link)) is not None:
                found.append(_letter(message))
            return found

    async def send_again(self, ids: frozenset[str] | None) -> int:
        link = await self._open()
        confirms = AmqpConfirms(await link.channel(confirms=True), link)
        sent = 0
        async with self._reading(link) as channel:
            # Not more than there were: what is rejected again meanwhile is at the end.
            left = await self._count(channel, link)
            waiting: list[DeliveredMessage] = []
            while left > 0 and (message := await self._next(channel, link)) is not None:
                left -= 1
                if _letter(message).queue and (ids is None or message.header.properties.message_id in ids):
                    waiting.append(message)
                if len(waiting) == TOGETHER:
                    sent += await self._again(waiting, confirms, channel, link)
                    waiting = []
            return sent + await self._again(waiting, confirms, channel, link)

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _open(self) -> AmqpLink:
        if self._link is None or not self._link.open:
            await self.close()
            self._link = await self._dialer.connect()
        return self._link

    @asynccontextmanager
    async def _reading(self, link: AmqpLink) -> AsyncIterator[Channel]:
        channel = await link.channel()
        try:
            yield channel
        finally:
            if not channel.is_closed:
                with suppress(BrokerUnavailable), reasons(link.place):  # without a connection they are back, too
                    async with asyncio.timeout(LIMIT_SECS):
                        await channel.close()

    async def _count(self, channel: Channel, link: AmqpLink) -> int:
        with self._refusals(link):
            async with asyncio.timeout(LIMIT_SECS):
                return int((await channel.queue_declare(self._queue, passive=True)).message_count or 0)

    async def _next(self, channel: Channel, link: AmqpLink) -> DeliveredMessage | None:
        """None: there is no other. What is not acknowledged stays."""
        with self._refusals(link):
            async with asyncio.timeout(LIMIT_SECS):
                message = await channel.basic_get(self._queue)
        return message if isinstance(message.delivery, Basic.GetOk) else None

    @contextmanager
    def _refusals(self, link: AmqpLink) -> Iterator[None]:
        with reasons(link.place):
            try:
                yield
            except aiormq.exceptions.ChannelNotFoundEntity:
                raise BrokerUnavailable(f"{link.place}: there is no queue {self._queue!r} of dead letters") from None

    async def _again(
        self, messages: Sequence[DeliveredMessage], confirms: AmqpConfirms, channel: Channel, link: AmqpLink
    ) -> int:
        """To the queue alone, so that no other gets it once more. Returns how many the queues have taken."""
        made = [_outgoing(each, number) for number, each in enumerate(messages)]
        taken = [each for each, refused in zip(messages, await confirms.send(made), strict=True) if refused == SAFE]
        with reasons(link.place):
            async with asyncio.timeout(LIMIT_SECS):
                for each in taken:
                    assert isinstance(each.delivery, Basic.GetOk)
                    await channel.basic_ack(each.delivery.delivery_tag or 0)
        return len(taken)


def _outgoing(message: DeliveredMessage, number: int) -> OutgoingMessage:
    properties, queue = message.header.properties, _letter(message).queue
    properties.headers = {
        name: value
        for name, value in (properties.headers or {}).items()
        if name not in _OWN and not name.startswith(("x-death", "x-first-death-", "x-last-death-", "x-delivery-"))
    } or None
    properties.message_id = properties.message_id or f"dead-{number}"
    # The default exchange: the routing key is the name of a queue.
    return OutgoingMessage("", queue, properties, message.body)


def _letter(message: DeliveredMessage) -> DeadLetter:
    properties = message.header.properties
    headers: Mapping[str, Any] = properties.headers or {}
    deaths = headers.get("x-death")
    death: Mapping[str, Any] = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    queue, reason = headers.get(QUEUE_HEADER), headers.get(REASON_HEADER)
    return DeadLetter(
        properties.message_id or "",
        properties.message_type or "",
        str(queue or death.get("queue") or ""),
        str(reason or death.get("reason") or ""),
        _seconds(headers.get(TIME_HEADER) or death.get("time")),
        message.body,
    )


def _seconds(value: object) -> float:
    try:
        found = value.timestamp() if isinstance(value, datetime) else value
        return float(found) if isinstance(found, int | float) and isfinite(found) else 0.0
    except (OverflowError, ValueError, OSError):
        return 0.0
