"""The exchange and the queues of RabbitMQ that events go through: their names, and how they are made and checked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import Any, Final

import aiormq
from aiormq.channel import Channel
from msgspec import Struct

from proxy.events.broker.amqp_link import LIMIT_SECS, AmqpLink, reasons
from proxy.events.broker.base import LEDGER_QUEUE, BrokerUnavailable
from proxy.events.settings import BrokerSettings

LEDGER_KEY: Final = "ledger_row"
"""Second routing key of an event that carries the ledger's only copy of a row."""

_DEFAULT: Final = "sluice.events"
_REPLAY_ALL: Final = "Events that were in it can be sent again: sluice events replay --from TIME"
_REPLAY: Final = {
    "ai_usage": f"{_REPLAY_ALL} --type ai_usage",
    LEDGER_KEY: "Rows of the ledger that were in it are only in the other queues now.",
    "": "The dead letters that were in it are lost.",
}
_MANY: Final = 1_000_000_000


class AmqpNames(Struct, frozen=True):
    """Names on the broker. ``dead`` is the dead letters' exchange and queue."""

    exchange: str
    usage: str
    analytics: str
    ledger: str
    dead: str


class AmqpQueue(Struct, frozen=True):
    """A queue and its routing key; ``""``: it belongs to the dead letters' exchange."""

    name: str
    key: str


def names_of(exchange: str) -> AmqpNames:
    """Two gateways with exchanges of their own share no queue on one broker, except ``x`` and ``x.events``.

    ``sluice.events`` has ``billing.usage``, ``analytics.events``, ``sluice.ledger`` and ``sluice.dead``; ``x.events``
    has ``x.billing.usage``, ``x.analytics.events``, ``x.ledger`` and ``x.dead``, and so has ``x``.
    """
    prefix = exchange.removesuffix(".events")
    own = "" if exchange == _DEFAULT else f"{prefix}."
    return AmqpNames(
        exchange, f"{own}billing.usage", f"{own}analytics.events", f"{prefix}.{LEDGER_QUEUE}", f"{prefix}.dead"
    )


def queues_of(names: AmqpNames, *, ledger: bool) -> tuple[AmqpQueue, ...]:
    """The dead letters are first: no queue must lose a message because they are missing."""
    found = [AmqpQueue(names.dead, ""), AmqpQueue(names.usage, "ai_usage"), AmqpQueue(names.analytics, "#")]
    return (*found, AmqpQueue(names.ledger, LEDGER_KEY)) if ledger else tuple(found)


def arguments_of(queue: AmqpQueue, names: AmqpNames, *, quorum: bool) -> dict[str, Any]:
    """Arguments of queue.declare. A limit that a policy sets makes the broker refuse events, not drop the oldest."""
    found: dict[str, Any] = {"x-overflow": "reject-publish"}
    if queue.key:
        found["x-dead-letter-exchange"] = names.dead
    if quorum:
        found["x-queue-type"] = "quorum"
        if queue.key:
            found["x-dead-letter-strategy"] = "at-least-once"
        if queue.name in (names.dead, names.ledger):
            # RabbitMQ 4 drops a message that came back 20 times: looking at dead letters often is enough.
            found["x-delivery-limit"] = _MANY
    return found


class AmqpTopology:
    """Makes what is missing where ``declare`` says so; else only looks.

    A publisher must know whether a queue was deleted while it sent, also if another process has made it again by then.
    No answer of the broker tells two queues of one name apart. So, with ``watch``, each queue is bound to an exchange
    of this object as well, which nothing is sent to. It is auto-delete: it goes with its queue, and only ``end`` or
    a restart of the broker removes it otherwise.
    """

    def __init__(
        self, settings: BrokerSettings, *, ledger: bool, warn: Callable[..., None], watch: bool = False
    ) -> None:
        self.names = names_of(settings.exchange)
        self._watch = f"{settings.exchange}.watch-{secrets.token_hex(4)}" if watch else ""
        self._watched: dict[str, str] = {}  # exchange of ours, by queue
        self.queues = queues_of(self.names, ledger=ledger)
        self.dead = -1  # messages in the dead letters when they were last counted
        self._declare = settings.declare
        self._quorum = settings.quorum
        self._warn = warn
        self._seen: set[str] = set()  # queues that were there once
        self._warned: set[str] = set()
        self._channel: Channel | None = None

    async def open(self, link: AmqpLink, deleted: Collection[str] = ()) -> None:
        """Make what is missing. ``deleted``: queues that are known to have been deleted.

        Raises BrokerUnavailable.
        """
        self._channel = None
        if not self._declare:
            return
        with reasons(link.place):
            await self._exchange(link, self.names.dead, "fanout")
            await self._exchange(link, self.names.exchange, "topic")
            for queue in self.queues:
                await self._queue(link, queue, queue.name in deleted)

    async def restore(self, link: AmqpLink) -> bool:
        """Make queues again that were deleted. True: events that were sent since the last look may not be in them.

        Raises BrokerUnavailable.
        """
        # Without ``declare``, the broker itself says that no queue gets an event: it returns it. It does not so for
        # the second routing key, the ledger's.
        checked = self.queues if self._declare else [each for each in self.queues if each.key == LEDGER_KEY]
        with reasons(link.place):
            deleted = [each.name for each in checked if not await self._is_same(link, each.name)]
        if deleted and not self._declare:
            raise BrokerUnavailable(
                f"{link.place}: there is no queue {deleted[0]!r}: bind one to the key {LEDGER_KEY!r}"
            )
        if deleted:
            await self.open(link, deleted)
        return bool(deleted)

    async def end(self, link: AmqpLink) -> None:
        """Remove what is of this object alone. Raises BrokerUnavailable."""
        with reasons(link.place):
            for name in self._watched.values():
                await self._call(link, "exchange_delete", name)
        self._watched.clear()

    async def _is_same(self, link: AmqpLink, queue: str) -> bool:
        """Whether a queue has not been deleted since ``open``, or (where it is not watched) is there."""
        if queue not in self._watched:
            return await self.count(link, queue) is not None
        try:
            await self._call(link, "exchange_declare", self._watched[queue], passive=True)
        except aiormq.exceptions.ChannelNotFoundEntity:
            return False
        return True

    async def count(self, link: AmqpLink, queue: str) -> int | None:
        """Messages that wait in a queue; None: there is no such queue. Raises BrokerUnavailable."""
        with reasons(link.place):
            try:
                found = int((await self._call(link, "queue_declare", queue, passive=True)).message_count)
            except aiormq.exceptions.ChannelNotFoundEntity:
                found = None
        if queue == self.names.dead:
            self.dead = -1 if found is None else found
        return found

    async def _exchange(self, link: AmqpLink, name: str, kind: str) -> None:
        try:
            await self._call(link, "exchange_declare", name, exchange_type=kind, durable=True)
        except aiormq.exceptions.ChannelPreconditionFailed as error:
            if "'type'" in str(error):
                raise BrokerUnavailable(
                    f"{link.place}: the exchange {name!r} exists and is not of the type {kind}: "
                    f"delete it, or set another events.exchange"
                ) from None
            self._differs("exchange", name, error)
        except aiormq.exceptions.ChannelAccessRefused as error:
            await self._must_exist(link, "exchange", name, error)

    async def _queue(self, link: AmqpLink, queue: AmqpQueue, deleted: bool) -> None:
        if queue.name in self._seen and not deleted:
            deleted = await self.count(link, queue.name) is None  # while there was no connection
        arguments = arguments_of(queue, self.names, quorum=self._quorum)
        try:
            await self._call(link, "queue_declare", queue.name, durable=True, arguments=arguments)
        except aiormq.exceptions.ChannelPreconditionFailed as error:
            self._differs("queue", queue.name, error)
        except aiormq.exceptions.ChannelAccessRefused as error:
            await self._must_exist(link, "queue", queue.name, error)
        await self._bind(link, queue)
        self._seen.add(queue.name)
        if deleted:
            self._warn(
                f"The queue {queue.name!r} was deleted, and is made again. {_REPLAY.get(queue.key, _REPLAY_ALL)}",
                place=link.place,
            )

    async def _bind(self, link: AmqpLink, queue: AmqpQueue) -> None:
        exchange = self.names.exchange if queue.key else self.names.dead
        # First to the exchange that watches it: if the queue is deleted between the two, the next look finds it.
        if self._watch:
            name = f"{self._watch}.{queue.name}"
            try:
                await self._call(link, "exchange_declare", name, exchange_type="fanout", auto_delete=True)
                await self._call(link, "queue_bind", queue.name, name)
                self._watched[queue.name] = name
            except aiormq.exceptions.ChannelAccessRefused:
                self._watched.pop(queue.name, None)
        try:
            await self._call(link, "queue_bind", queue.name, exchange, queue.key)
        except aiormq.exceptions.ChannelAccessRefused as error:
            self._once(f"The queue {queue.name!r} cannot be bound to {exchange!r}: bind it yourself.", str(error))

    async def _must_exist(self, link: AmqpLink, what: str, name: str, refused: Exception) -> None:
        try:
            await self._call(link, f"{what}_declare", name, passive=True)
        except aiormq.AMQPError:
            raise BrokerUnavailable(
                f"{link.place}: the user may not make the {what} {name!r}, which is missing ({refused})"
            ) from None
        self._once(f"The user may not declare the {what} {name!r}. It is used as it is: set events.declare: false.", "")

    def _differs(self, what: str, name: str, error: Exception) -> None:
        self._once(
            f"The {what} {name!r} exists with other settings than Sluice's, and is used as it is. "
            f"To have it made anew, empty and delete it. To keep it, set events.declare: false.",
            str(error),
        )

    def _once(self, text: str, why: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text, **({"why": why} if why else {}))

    async def _call(self, link: AmqpLink, method: str, *arguments: Any, **options: Any) -> Any:
        """Raises ChannelClosed for what the broker refuses, which ends the channel, and BrokerUnavailable."""
        if self._channel is None or self._channel.is_closed:
            self._channel = await link.channel()
        channel = self._channel
        with reasons(link.place):
            try:
                async with asyncio.timeout(LIMIT_SECS):
                    return await getattr(channel, method)(*arguments, **options)
            except aiormq.exceptions.ChannelClosed as error:
                refused = error
                self._channel = None
            except BaseException:
                self._channel = None  # aiormq closes it after a timeout
                raise
        raise refused
