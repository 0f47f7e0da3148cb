"""Reads messages with rows of the ledger from RabbitMQ."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from msgspec import Struct
from pamqp.commands import Basic

from proxy.events.broker.amqp_confirms import AmqpConfirms, OutgoingMessage, persistent
from proxy.events.broker.amqp_link import LIMIT_SECS, AmqpDialer, AmqpLink, reasons
from proxy.events.broker.amqp_topology import AmqpTopology
from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.reading import BrokerDelivery
from proxy.events.settings import BrokerSettings

REASON_HEADER: Final = "x-sluice-reason"
QUEUE_HEADER: Final = "x-sluice-queue"
TIME_HEADER: Final = "x-sluice-time"
MOST_REASON: Final = 1000  # characters

_NO_ID: Final = "none"  # of a message that others have sent

AHEAD: Final = 2  # batches that the broker sends before the first is accepted


class _Token(Struct, frozen=True):
    """A delivery tag is valid on its own channel only."""

    channel: Channel
    tag: int


class AmqpSubscription:
    """Implements LedgerSubscription. Connects when it is first used, and again after a failure."""

    def __init__(
        self,
        settings: BrokerSettings,
        warn: Callable[..., None],
        log: Callable[..., None],
        dialer: AmqpDialer | None = None,
    ) -> None:
        self._log = log
        self._dialer = dialer or AmqpDialer(settings, "sluice ledger consume")
        self._topology = AmqpTopology(settings, ledger=True, warn=warn)
        self._queue = self._topology.names.ledger
        self._opening = asyncio.Lock()
        self._link: AmqpLink | None = None
        self._channel: Channel | None = None
        self._confirms: AmqpConfirms | None = None
        self._received: deque[BrokerDelivery] = deque()  # not yet part of a batch
        self._open_tags: dict[int, None] = {}  # neither accepted nor buried, in their order
        self._arrival = asyncio.Event()  # of so many messages, or of the end of the consumer
        self._wanted = 1
        self._ended = ""  # why the broker sends nothing more
        self._closed = False

    async def batches(self, most: int, wait_secs: float) -> AsyncIterator[list[BrokerDelivery]]:
        await self._consume(most)
        while True:
            await self._arrive(1)
            try:
                async with asyncio.timeout(wait_secs):
                    await self._arrive(most)
            except TimeoutError:
                pass
            yield [self._received.popleft() for _ in range(min(most, len(self._received)))]

    async def accept(self, deliveries: Sequence[BrokerDelivery]) -> None:
        if not deliveries:
            return
        channel, tags = self._tags(deliveries)
        # One acknowledgment for all up to the last, if nothing else is open before it.
        together = 0
        for tag in self._open_tags:
            if tag not in tags:
                break
            together = tag
        singles = [tag for tag in tags if tag > together]
        with self._failures(), reasons(self._place):
            async with asyncio.timeout(LIMIT_SECS):
                if together:
                    await channel.basic_ack(together, multiple=True)
                for tag in singles:
                    await channel.basic_ack(tag)
        for tag in tags:
            self._open_tags.pop(tag, None)

    async def bury(self, delivery: BrokerDelivery, reason: str) -> None:
        channel, tags = self._tags([delivery])
        link = self._link
        if not tags or link is None:
            return
        headers: dict[str, object] = {
            REASON_HEADER: reason[:MOST_REASON],
            QUEUE_HEADER: self._queue,
            TIME_HEADER: int(time.time()),
        }
        properties = persistent(delivery.id or _NO_ID, delivery.type, delivery.content_type, headers)
        dead = OutgoingMessage(self._topology.names.dead, "", properties, delivery.body)
        with self._failures():
            if self._confirms is None or not self._confirms.open:
                self._confirms = AmqpConfirms(await link.channel(confirms=True), link)
            # A message in both queues for a moment is better than one in neither: the acknowledgment comes last.
            if refused := (await self._confirms.send([dead]))[0]:
                raise BrokerUnavailable(f"{link.place}: the dead letters: {refused}")
            with reasons(link.place):
                async with asyncio.timeout(LIMIT_SECS):
                    for tag in tags:
                        await channel.basic_ack(tag)
                        self._open_tags.pop(tag, None)

    async def waiting(self) -> int:
        link = await self._open()
        found = await self._topology.count(link, self._queue)
        if found is None:
            raise BrokerUnavailable(f"{link.place}: there is no queue {self._queue!r}")
        return found

    async def close(self) -> None:
        self._closed = True
        self._end("the subscription is closed")
        await self._drop()

    @property
    def _place(self) -> str:
        return self._link.place if self._link is not None else "the broker"

    def _tags(self, deliveries: Sequence[BrokerDelivery]) -> tuple[Channel, dict[int, None]]:
        """Raises BrokerUnavailable for those of a former connection: they come again."""
        channel = self._channel
        tokens = [each.token for each in deliveries if isinstance(each.token, _Token)]
        if channel is None or channel.is_closed or any(each.channel is not channel for each in tokens):
            raise BrokerUnavailable(f"{self._place}: the connection ended: its messages come again")
        return channel, dict.fromkeys(sorted(each.tag for each in tokens if each.tag in self._open_tags))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Begin anew after a failure: only the end of a channel makes the broker send again what is open."""
        try:
            yield
        except BrokerUnavailable as error:
            self._end(str(error))
            raise

    async def _arrive(self, count: int) -> None:
        """Wait until so many messages are there."""
        self._check()
        self._wanted = count
        while len(self._received) < count:
            self._arrival.clear()
            await self._arrival.wait()
            self._check()

    def _check(self) -> None:
        """What was received before the end is not given out: it comes again."""
        if self._ended:
            raise BrokerUnavailable(self._ended)

    async def _open(self) -> AmqpLink:
        async with self._opening:
            if self._closed:
                raise BrokerUnavailable("the subscription is closed")
            if self._link is not None and self._link.open:
                return self._link
            await self._drop()
            try:
                link = self._link = await self._dialer.connect()
                if self._closed:  # meanwhile
                    raise BrokerUnavailable("the subscription is closed")
                await self._topology.open(link)
            except BrokerUnavailable:
                await self._drop()
                raise
            return link

    async def _consume(self, most: int) -> None:
        given = len(self._open_tags) - len(self._received)  # and not accepted: comes again on a new channel only
        if self._channel is not None and not self._channel.is_closed and not self._ended and not given:
            return
        if self._channel is not None and not self._closed:
            await self._drop()
        link = await self._open()
        self._ended = ""
        self._received.clear()
        self._open_tags.clear()
        channel = await link.channel()
        self._channel = channel
        channel.closing.add_done_callback(partial(self._channel_ended, channel))
        channel.on_consumer_cancel_callbacks.add(self._canceled)
        try:
            with reasons(link.place):
                async with asyncio.timeout(LIMIT_SECS):
                    await channel.basic_qos(prefetch_count=min(AHEAD * most, 65535))
                    await channel.basic_consume(self._queue, self._receive)
        except BrokerUnavailable:
            await self._drop()
            self._dialer.turn()
            raise
        self._log("Reads the ledger's rows from RabbitMQ.", place=link.place, queue=self._queue)

    async def _receive(self, message: DeliveredMessage) -> None:
        channel = self._channel
        if channel is None or message.channel is not channel or not isinstance(message.delivery, Basic.Deliver):
            return
        tag, properties = message.delivery.delivery_tag, message.header.properties
        assert tag is not None
        self._open_tags[tag] = None
        self._received.append(
            BrokerDelivery(
                properties.message_id or "",
                properties.message_type or "",
                properties.content_type or "",
                message.body,
                _Token(channel, tag),
            )
        )
        if len(self._received) >= self._wanted:
            self._arrival.set()

    def _channel_ended(self, channel: Channel, closing: asyncio.Future[object]) -> None:
        if channel is not self._channel:
            return
        error = None if closing.cancelled() else closing.exception()
        self._end(f"{self._place}: the connection ended" + (f" ({error})" if error and str(error) else ""))

    def _canceled(self, _: object) -> None:
        self._end(f"{self._place}: the queue {self._queue!r} was deleted, or has lost its leader")

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        self._arrival.set()

    async def _drop(self) -> None:
        link, self._link, self._channel, self._confirms = self._link, None, None, None
        if link is not None:
            await link.close()
