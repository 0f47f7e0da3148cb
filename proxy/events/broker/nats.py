"""NATS JetStream: events are stored in a stream, which keeps each until its durable consumers have accepted it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from secrets import token_hex
from typing import Final

from msgspec import Raw, Struct, json, structs

from proxy.events.broker.base import BrokerMessage, BrokerUnavailable
from proxy.events.broker.nats_connection import NatsConnection, StoredMessage
from proxy.events.broker.nats_reading import NatsDeadLetters, NatsSubscription
from proxy.events.broker.nats_session import NatsSession, Say
from proxy.events.broker.nats_stream import (
    CONTENT_HEADER,
    EVENT_HEADER,
    ID_HEADER,
    LEDGER_HEADER,
    TYPE_HEADER,
    StreamNames,
)
from proxy.events.broker.reading import LedgerSubscription
from proxy.events.cloudevent import BATCH_TYPE, batch
from proxy.events.settings import BrokerSettings

HEADER_BYTES: Final = 1024  # more than our headers have


def open_publisher(settings: BrokerSettings, warn: Say, log: Say) -> NatsPublisher:
    return NatsPublisher(NatsSession(settings, warn, log), open_dead_letters(settings))


def open_subscription(settings: BrokerSettings, warn: Say, log: Say) -> LedgerSubscription:
    return NatsSubscription(NatsSession(settings, warn, log, read=True))


def open_dead_letters(settings: BrokerSettings) -> NatsDeadLetters:
    """Makes nothing: a publisher has to notice itself that a consumer is missing."""
    return NatsDeadLetters(NatsSession(structs.replace(settings, declare=False), _unsaid, _unsaid))


class NatsPublisher:
    """A Publisher. One ``publish`` at a time.

    ``letters``: the dead letters, by a connection of their own. NATS ends a request that a user may not make only with
    an error of the connection, which would count as a failure of what is being published.
    """

    def __init__(self, session: NatsSession, letters: NatsDeadLetters) -> None:
        self._session = session
        self._letters = letters

    def __repr__(self) -> str:
        return f"<NatsPublisher {self._session}>"

    async def publish(self, messages: Sequence[BrokerMessage]) -> None:
        """Raises BrokerUnavailable."""
        if not messages:
            return
        async with self._session.using() as connection:
            await self._publish(connection, messages)

    async def dead(self) -> int:
        try:
            return await self._letters.count()
        except BrokerUnavailable:
            return -1

    async def close(self) -> None:
        await self._session.close()
        await self._letters.close()

    async def _publish(self, connection: NatsConnection, messages: Sequence[BrokerMessage]) -> None:
        most, names = connection.most_bytes - HEADER_BYTES, self._session.names
        stored = [stored_message(part, names) for message in messages for part in fitting(message, most)]
        await connection.store(stored)
        if await self._session.restored(connection):
            # The stream knows their ids, and would not give them to the new consumers.
            mark = f"/{token_hex(4)}"
            await connection.store([_renamed(each, mark) for each in stored])


class _Identified(Struct, frozen=True):
    id: str


def stored_message(message: BrokerMessage, names: StreamNames) -> StoredMessage:
    headers = {
        ID_HEADER: _stream_id(message),
        EVENT_HEADER: message.id,
        TYPE_HEADER: message.type,
        CONTENT_HEADER: message.content_type,
    }
    if message.ledger:
        headers[LEDGER_HEADER] = "1"
    return StoredMessage(names.subject(message.type), message.body, headers)


def fitting(message: BrokerMessage, most: int) -> Iterator[BrokerMessage]:
    """The message, as parts of at most so many bytes where it is a batch. A single event stays as it is."""
    if len(message.body) <= most or message.content_type != BATCH_TYPE:
        yield message
        return
    events = json.decode(message.body, type=list[Raw])
    if len(events) < 2:
        yield message
        return
    middle = len(events) // 2
    for half in (events[:middle], events[middle:]):
        first = json.decode(half[0], type=_Identified).id
        yield from fitting(
            BrokerMessage(first, message.type, BATCH_TYPE, batch([bytes(each) for each in half]), message.ledger), most
        )


def _stream_id(message: BrokerMessage) -> str:
    """What the stream takes for the same message: batches may begin with the same event, and differ."""
    if message.content_type != BATCH_TYPE:
        return message.id
    return f"{message.id}/{sha256(message.body).hexdigest()[:16]}"


def _renamed(message: StoredMessage, mark: str) -> StoredMessage:
    headers = message.headers | {ID_HEADER: message.headers[ID_HEADER] + mark}
    return StoredMessage(message.subject, message.body, headers)


def _unsaid(_: str, **__: object) -> None:
    """Look without words: the command prints what it finds."""
