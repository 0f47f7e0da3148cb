"""Sends events to RabbitMQ until they are safe in every queue that is to get them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Final

from proxy.events.broker.amqp_confirms import SAFE, AmqpConfirms, OutgoingMessage, persistent
from proxy.events.broker.amqp_link import CLOSE_SECS, AmqpDialer, AmqpLink
from proxy.events.broker.amqp_topology import LEDGER_KEY, AmqpTopology
from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.events.settings import BrokerSettings

MOST: Final = 1000  # messages that are sent before their confirms
ROUNDS: Final = 3  # times that queues may be deleted under way
DEAD_PAUSE_SECS: Final = 5.0  # between two counts of the dead letters


class AmqpPublisher:
    """Implements Publisher. What fails is sent with care: one message first, then twice as many each time.

    So a full queue costs its neighbors one duplicate a try. Messages that were safe in a failed call are not sent
    again by the next one.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        warn: Callable[..., None],
        log: Callable[..., None],
        dialer: AmqpDialer | None = None,
    ) -> None:
        self._log = log
        self._dialer = dialer or AmqpDialer(settings, "sluice events")
        self._topology = AmqpTopology(settings, ledger=settings.ledger, warn=warn, watch=True)
        self._exchange = settings.exchange
        self._lock = asyncio.Lock()
        self._link: AmqpLink | None = None
        self._confirms: AmqpConfirms | None = None
        self._width = MOST
        self._safe: set[BrokerMessage] = set()  # of a call that failed
        self._looked_at = -inf  # monotonic: when the dead letters were counted, or could not be
        self._closed = False

    async def publish(self, messages: Sequence[BrokerMessage]) -> None:
        if not messages:
            return
        async with self._lock:
            if self._safe:
                self._safe &= set(messages)
            try:
                await self._publish(messages)
            except BaseException as error:
                if not isinstance(error, BrokerUnavailable):
                    await self._drop()  # canceled: what has arrived is not known
                raise
            self._safe.clear()

    async def dead(self) -> int:
        async with self._lock:
            now = time.monotonic()
            if now - self._looked_at >= DEAD_PAUSE_SECS:
                self._looked_at = now
                try:
                    link, _ = await self._open()
                    if not await link.blocked():
                        await self._topology.count(link, self._topology.names.dead)
                except BrokerUnavailable:
                    await self._fail()
        return self._topology.dead

    async def close(self) -> None:
        """A publish in progress fails. Takes at most three times CLOSE_SECS."""
        self._closed = True
        link = self._link
        try:
            if link is not None and link.open and not self._lock.locked() and not await link.blocked():
                async with asyncio.timeout(CLOSE_SECS):
                    await self._topology.end(link)
        except (BrokerUnavailable, TimeoutError):
            pass  # it is left to the next restart of the broker
        await self._drop()

    async def _publish(self, messages: Sequence[BrokerMessage]) -> None:
        for _ in range(ROUNDS):
            try:
                link, confirms = await self._open()
                if reason := await link.blocked():
                    raise BrokerUnavailable(reason)
                refused = await self._send(confirms, [each for each in messages if each not in self._safe])
                lost = await self._topology.restore(link)
                if lost:
                    self._safe.clear()
            except BrokerUnavailable:
                await self._fail()
                raise
            if lost:
                continue
            if refused:
                raise BrokerUnavailable(f"{link.place}: {refused}")
            return
        raise BrokerUnavailable("queues are deleted as fast as they are made")

    async def _send(self, confirms: AmqpConfirms, messages: Sequence[BrokerMessage]) -> str:
        """Returns why one of them was refused; ``""``: all are safe."""
        at = datetime.now(UTC)
        start = 0
        while start < len(messages):
            window = messages[start : start + self._width]
            start += len(window)
            width, self._width = self._width, 1  # if it fails
            found = await confirms.send([self._outgoing(each, at) for each in window])
            self._safe.update(each for each, refused in zip(window, found, strict=True) if refused == SAFE)
            if refused := next(filter(None, found), ""):
                return refused
            self._width = min(2 * width, MOST)
        return ""

    def _outgoing(self, message: BrokerMessage, at: datetime) -> OutgoingMessage:
        # Sender-selected distribution: a queue that either key reaches gets it once.
        headers: dict[str, object] | None = {"CC": [LEDGER_KEY]} if message.ledger else None
        properties = persistent(message.id, message.type, message.content_type, headers, at)
        return OutgoingMessage(self._exchange, message.type, properties, message.body)

    async def _open(self) -> tuple[AmqpLink, AmqpConfirms]:
        if self._closed:
            raise BrokerUnavailable("the connection to the broker is closed")
        if self._link is not None and self._link.open and self._confirms is not None and self._confirms.open:
            return self._link, self._confirms
        await self._drop()
        link = self._link = await self._dialer.connect()
        if self._closed:  # meanwhile
            await self._drop()
            raise BrokerUnavailable("the connection to the broker is closed")
        self._safe.clear()  # a queue may have been deleted meanwhile
        await self._topology.open(link)
        confirms = self._confirms = AmqpConfirms(await link.channel(confirms=True), link)
        self._log("Connected to RabbitMQ.", place=link.place, exchange=self._exchange)
        return link, confirms

    async def _fail(self) -> None:
        """Close the connection, unless it is blocked: it goes on when the alarm ends."""
        self._topology.dead = -1
        self._looked_at = time.monotonic()
        if self._link is not None and not (self._link.open and await self._link.blocked()):
            await self._drop()
            self._dialer.turn()

    async def _drop(self) -> None:
        link, self._link, self._confirms = self._link, None, None
        if link is not None:
            await link.close()
