"""The exchange and the queues of RabbitMQ that events go through: their names, and how they are made and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
    """Two gateways with exchanges of their own share no queue on one broker.

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
            # RabbitMQ 4 drops a message that came back 20 times: by then somebody may just have looked at it often.
            found["x-delivery-limit"] = _MANY
    return found


class AmqpTopology:
    """Makes what is missing where ``declare`` says so; else only looks."""

    def __init__(self, settings: BrokerSettings, *, ledger: bool, warn: Callable[..., None]) -> None:
        self.names = names_of(settings.exchange)
        self.queues = queues_of(self.names, ledger=ledger)
        self.dead = -1  # messages in the dead letters when they were last counted
        self._declare = settings.declare
        self._quorum = settings.quorum
        self._warn = warn
        self._seen: set[str] = set()  # queues that were there once
        self._warned: set[str] = set()
        self._channel: Channel | None = None

    async def open(self, link: AmqpLink) -> bool:
        """Make what is missing. True: a queue was missing that had been there before, with what was in it.

        Raises BrokerUnavailable.
        """
        self._channel = None
        if not self._declare:
            return False
        await self._exchange(link, self.names.dead, "fanout")
        await self._exchange(link, self.names.exchange, "topic")
        return any([await self._queue(link, queue) for queue in self.queues])

    async def restore(self, link: AmqpLink) -> bool:
        """Make queues again that were deleted. True: events that were sent since the last look may not be in them.

        Raises BrokerUnavailable.
        """
        # Without ``declare``, whether anybody gets an event is told by the broker, which returns those that nobody
        # gets. It does not for the second routing key, the ledger's.
        checked = self.queues if self._declare else [each for each in self.queues if each.key == LEDGER_KEY]
        missing = [each.name for each in checked if await self.count(link, each.name) is None]
        if missing and not self._declare:
            raise BrokerUnavailable(
                f"{link.place}: there is no queue {missing[0]!r}: bind one to the key {LEDGER_KEY!r}"
            )
        if missing:
            await self.open(link)
        return bool(missing)

    async def count(self, link: AmqpLink, queue: str) -> int | None:
        """Messages that wait in a queue; None: there is no such queue. Raises BrokerUnavailable."""
        try:
            declared = await self._call(link, "queue_declare", queue, passive=True)
        except aiormq.exceptions.ChannelNotFoundEntity:
            found = None
        else:
            found = int(declared.message_count)
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

    async def _queue(self, link: AmqpLink, queue: AmqpQueue) -> bool:
        lost = await self.count(link, queue.name) is None and queue.name in self._seen
        arguments = arguments_of(queue, self.names, quorum=self._quorum)
        try:
            await self._call(link, "queue_declare", queue.name, durable=True, arguments=arguments)
        except aiormq.exceptions.ChannelPreconditionFailed as error:
            self._differs("queue", queue.name, error)
        except aiormq.exceptions.ChannelAccessRefused as error:
            await self._must_exist(link, "queue", queue.name, error)
        exchange = self.names.exchange if queue.key else self.names.dead
        try:
            await self._call(link, "queue_bind", queue.name, exchange, queue.key)
        except aiormq.exceptions.ChannelAccessRefused as error:
            self._once(f"The queue {queue.name!r} cannot be bound to {exchange!r}: bind it yourself.", str(error))
        except aiormq.AMQPError as error:
            raise BrokerUnavailable(f"{link.place}: {error}") from None
        self._seen.add(queue.name)
        if lost:
            self._warn(
                f"The queue {queue.name!r} was deleted, and is made again. {_REPLAY.get(queue.key, _REPLAY_ALL)}",
                place=link.place,
            )
        return lost

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
