"""What is read from JetStream: the ledger's messages, and dead letters."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct, json
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.nats_connection import JetStreamRefused, NatsConnection, StoredMessage
from proxy.events.broker.nats_session import NatsSession
from proxy.events.broker.nats_stream import (
    CONTENT_HEADER,
    EVENT_HEADER,
    ID_HEADER,
    LEDGER_CONSUMER,
    LEDGER_HEADER,
    ORIGIN_HEADER,
    REASON_HEADER,
    TYPE_HEADER,
    next_request,
)
from proxy.events.broker.reading import BrokerDelivery, DeadLetter
from proxy.events.cloudevent import MEDIA_TYPE

PULL_SECS: Final = 5.0  # a request for messages waits so long at the server
LATE_SECS: Final = 5.0  # then the server is gone
MOST_REASON: Final = 500  # characters
_EXPIRED: Final = frozenset({"404", "408"})  # a request that has ended without (more) messages
_CONFLICT: Final = "409"
_EXCEEDED: Final = "Exceeded"  # words of a conflict that passes
_CONFIRMATION: Final = "$JS.ACK."  # where a message of a consumer is confirmed
_ACCEPT: Final = b"+ACK"
_GIVE_BACK: Final = b"-NAK"


class NatsSubscription:
    """A LedgerSubscription: one durable pull consumer, whose messages are shared by all subscribers."""

    def __init__(self, session: NatsSession) -> None:
        self._session = session
        self._connection: NatsConnection | None = None  # to which all below belongs
        self._subscription: Subscription | None = None
        self._asked = 0  # messages that a request may still bring
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue()
        self._held: dict[str, None] = {}  # confirmations of messages that were given out, in their order

    def __repr__(self) -> str:
        return f"<NatsSubscription {self._session}: {len(self._held)} not accepted>"

    async def batches(self, most: int, wait_secs: float) -> AsyncIterator[list[BrokerDelivery]]:
        while True:
            async with self._session.using() as connection:
                batch = await self._batch(connection, most, wait_secs)
            yield batch

    async def accept(self, deliveries: Sequence[BrokerDelivery]) -> None:
        async with self._session.using() as connection:
            await self._accept(connection, [_message(each).reply for each in deliveries])

    async def bury(self, delivery: BrokerDelivery, reason: str) -> None:
        message = _message(delivery)
        place = message.metadata
        headers = (message.headers or {}) | {
            # A message that was sent again may be buried again: its place in the stream tells the two apart.
            ID_HEADER: f"dead/{place.stream}/{place.sequence.stream}",
            REASON_HEADER: reason[:MOST_REASON],
            ORIGIN_HEADER: message.subject,
        }
        async with self._session.using() as connection:
            await connection.store([StoredMessage(self._session.names.dead, message.data, headers)])
            await self._accept(connection, [message.reply])

    async def waiting(self) -> int:
        async with self._session.using() as connection:
            found = json.decode(await connection.request(self._consumer), type=_Consumer)
        # Those of a subscriber that was killed come again when their time is over, and until then they wait.
        ours = len(self._held) if self._connection is connection else 0
        return found.num_pending + max(found.num_ack_pending - ours, 0)

    @property
    def _consumer(self) -> str:
        return f"CONSUMER.INFO.{self._session.stream}.{LEDGER_CONSUMER}"

    async def close(self) -> None:
        """Give back what was not accepted, so that subscribers that wait need not wait for it.

        Where none waits, nats-server 2.9 sends it again only ``ACK_SECS`` after it was sent first.
        """
        connection, subscription = self._connection, self._subscription
        if connection is not None and subscription is not None and not connection.closed:
            try:
                # First, or the server would give them to our own request, which still waits.
                await connection.unsubscribe(subscription)
                await connection.flush()
                while not self._arrived.empty():
                    self._held[self._arrived.get_nowait().reply] = None
                for each in self._held:
                    await connection.send(each, _GIVE_BACK)
                await connection.flush()
            except BrokerUnavailable:
                pass  # they come again when their time is over
        await self._session.close()

    async def _batch(self, connection: NatsConnection, most: int, wait_secs: float) -> list[BrokerDelivery]:
        if self._connection is not connection:
            await self._begin(connection)
        loop, found = asyncio.get_running_loop(), list[BrokerDelivery]()
        end = 0.0
        while len(found) < most:
            if self._asked == 0:
                await self._ask(connection, most - len(found))
            seconds = end - loop.time() if found else PULL_SECS + LATE_SECS
            message = await connection.received(self._arrived, seconds)
            if message is None:
                if found:
                    break
                raise BrokerUnavailable(f"no answer within {PULL_SECS + LATE_SECS:g} s")
            if not message.reply.startswith(_CONFIRMATION):
                self._end_request(message.headers or {})
                continue
            self._asked = max(self._asked - 1, 0)
            if (message.headers or {}).get(LEDGER_HEADER) != "1":
                await connection.send(message.reply, _ACCEPT)  # a database has its row already
                continue
            self._held[message.reply] = None
            end = end or loop.time() + wait_secs
            found.append(_delivery(message))
        return found

    async def _begin(self, connection: NatsConnection) -> None:
        """Listen at a new connection. What came by an earlier one, and was not accepted, comes again."""
        self._arrived = asyncio.Queue()
        self._held.clear()
        self._asked = 0
        await connection.request(self._consumer)  # a request to one that is missing would not be answered
        self._subscription = await connection.subscribe(self._arrive)
        self._connection = connection

    async def _ask(self, connection: NatsConnection, most: int) -> None:
        assert self._subscription is not None
        path = f"$JS.API.CONSUMER.MSG.NEXT.{self._session.stream}.{LEDGER_CONSUMER}"
        self._asked = most
        await connection.send(path, json.encode(next_request(most, PULL_SECS)), reply=self._subscription.subject)

    async def _arrive(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    def _end_request(self, headers: dict[str, str]) -> None:
        """Raises BrokerUnavailable unless another request may bring messages."""
        status, words = headers.get("Status", ""), headers.get("Description", "")
        self._asked = 0
        if status in _EXPIRED or (status == _CONFLICT and _EXCEEDED in words):
            return
        raise BrokerUnavailable(words or f"status {status}")

    async def _accept(self, connection: NatsConnection, confirmations: Sequence[str]) -> None:
        for each in confirmations:
            await connection.send(each, _ACCEPT)
        await connection.flush()
        for each in confirmations:
            self._held.pop(each, None)


class NatsDeadLetters:
    """The dead letters, in a stream of their own."""

    def __init__(self, session: NatsSession) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<NatsDeadLetters {self._session}>"

    async def count(self) -> int:
        """How many there are; -1: there is no stream of them. Raises BrokerUnavailable."""
        async with self._session.using() as connection:
            stream = await self._stream(connection)
            return (await _state(connection, stream)).messages if stream else -1

    async def look(self, most: int) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        async with self._session.using() as connection:
            if not most:  # whether the broker answers
                return found
            stream = await self._stream(connection)
            async for each in self._all(connection, stream):
                if len(found) >= most:
                    break
                found.append(each.letter())
        return found

    async def send_again(self, ids: frozenset[str] | None) -> int:
        """To the subject of the event, of which all consumers get it again: they know its id."""
        sent = 0
        async with self._session.using() as connection:
            stream = await self._stream(connection)
            async for each in self._all(connection, stream):
                if ids is None or each.letter().id in ids:
                    await self._send(connection, stream, each)
                    sent += 1
        return sent

    async def close(self) -> None:
        await self._session.close()

    async def _stream(self, connection: NatsConnection) -> str:
        """Its name; ``""``: there is none yet, as no event was sent."""
        names = self._session.names
        return await self._session.find(connection, names.dead_stream, names.dead)

    async def _all(self, connection: NatsConnection, stream: str) -> AsyncIterator[_Dead]:
        """Those that are there now, oldest first."""
        if not stream:
            return
        state = await _state(connection, stream)
        place = state.first_seq
        while place <= state.last_seq:
            asked = {"seq": place, "next_by_subj": self._session.names.dead}
            try:
                found = await connection.request(f"STREAM.MSG.GET.{stream}", asked)
            except JetStreamRefused as reason:
                if reason.not_found:
                    return  # the last ones were deleted meanwhile
                raise
            got = json.decode(found, type=_Got).message
            if got.seq > state.last_seq:
                return
            yield _Dead(got.seq, got.time, headers_of(b64decode(got.hdrs)), b64decode(got.data))
            place = got.seq + 1

    async def _send(self, connection: NatsConnection, stream: str, dead: _Dead) -> None:
        subject = dead.headers.get(ORIGIN_HEADER) or self._session.names.subject(dead.headers.get(TYPE_HEADER, ""))
        kept = (EVENT_HEADER, TYPE_HEADER, CONTENT_HEADER, LEDGER_HEADER)
        headers = {name: dead.headers[name] for name in kept if name in dead.headers}
        # Not the event's own id: the stream may know it yet, and would not store it again.
        headers[ID_HEADER] = f"again/{stream}/{dead.place}"
        await connection.store([StoredMessage(subject, dead.body, headers)])
        await connection.request(f"STREAM.MSG.DELETE.{stream}", {"seq": dead.place})


class _Consumer(Struct, frozen=True):
    num_pending: int = 0  # were not sent
    num_ack_pending: int = 0  # were sent, and are not accepted


class _State(Struct, frozen=True):
    messages: int = 0
    first_seq: int = 0
    last_seq: int = 0


class _Stream(Struct, frozen=True):
    state: _State


class _Message(Struct, frozen=True):
    """As the API gives it: ``hdrs`` and ``data`` in base64."""

    seq: int
    time: str
    hdrs: str = ""
    data: str = ""


class _Got(Struct, frozen=True):
    message: _Message


class _Dead(Struct, frozen=True):
    """``place``: in its stream."""

    place: int
    time: str
    headers: dict[str, str]
    body: bytes

    def letter(self) -> DeadLetter:
        headers = self.headers
        return DeadLetter(
            headers.get(EVENT_HEADER) or f"{self.place}",
            headers.get(TYPE_HEADER, ""),
            headers.get(ORIGIN_HEADER, ""),
            headers.get(REASON_HEADER, ""),
            unix_time(self.time),
            self.body,
        )


async def _state(connection: NatsConnection, stream: str) -> _State:
    return json.decode(await connection.request(f"STREAM.INFO.{stream}"), type=_Stream).state


def headers_of(block: bytes) -> dict[str, str]:
    """The headers of a message as they are on the wire (NATS protocol, HPUB): a line each, after ``NATS/1.0``."""
    found = {}
    for line in block.decode(errors="replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    return found


def unix_time(text: str) -> float:
    """Of an RFC 3339 time with nanoseconds; 0: it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _message(delivery: BrokerDelivery) -> Msg:
    assert isinstance(delivery.token, Msg)
    return delivery.token


def _delivery(message: Msg) -> BrokerDelivery:
    headers = message.headers or {}
    type_ = headers.get(TYPE_HEADER) or message.subject.rpartition(".")[2]
    id_ = headers.get(EVENT_HEADER) or headers.get(ID_HEADER, "")
    return BrokerDelivery(id_, type_, headers.get(CONTENT_HEADER, MEDIA_TYPE), message.data, message)
