"""A connection to one of several NATS servers at a time, and what JetStream must have before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Raw, Struct, json

from proxy.events.broker.base import BrokerUnavailable
from proxy.events.broker.nats_connection import (
    NO_PEERS,
    STREAM_NAME_IN_USE,
    JetStreamRefused,
    NatsConnection,
    connect,
)
from proxy.events.broker.nats_stream import (
    REPLICAS,
    StreamNames,
    dead_stream,
    durable_consumer,
    event_stream,
    stream_names,
)
from proxy.events.settings import BrokerSettings

Say = Callable[..., None]
PEERS_SECS: Final = 10.0  # until a cluster that starts has as many servers as a stream has copies
_PEERS_PAUSE_SECS: Final = 0.1
_REPLAY: Final = "sluice events replay --from TIME writes the events of the ledger again"


class _Streams(Struct, frozen=True):
    streams: list[str] | None = None


class _Consumers(Struct, frozen=True):
    consumers: list[str] | None = None
    total: int = 0


class NatsSession:
    """``read``: streams are looked up, as reading needs their names. To send, it is enough to know the subject."""

    def __init__(self, settings: BrokerSettings, warn: Say, log: Say, *, read: bool = False) -> None:
        self.names: Final[StreamNames] = stream_names(settings.exchange)
        self.stream = self.names.stream
        self._settings = settings
        self._read = read
        self._warn = warn
        self._log = log
        self._failures = 0  # also counts on which address is next
        self._connection: NatsConnection | None = None
        self._single = False  # there are not enough servers for replicas: said once
        self._opening = asyncio.Lock()
        self._known = False  # the consumers were there once: one that is missing was deleted
        self._closed = False

    def __repr__(self) -> str:
        return f"<NatsSession {self.names.prefix}: {self._connection}>"

    @asynccontextmanager
    async def using(self) -> AsyncIterator[NatsConnection]:
        """The connection, made anew if need be. After an error it is closed. Raises BrokerUnavailable."""
        connection = await self._open()
        try:
            yield connection
        except JetStreamRefused as reason:
            await self._drop(connection)
            raise BrokerUnavailable(f"JetStream: {reason}") from None
        except BaseException:
            # Answers that still come must not be taken for those of later requests.
            await self._drop(connection)
            raise

    async def close(self) -> None:
        """What uses the connection, or waits for one, fails with BrokerUnavailable."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self) -> NatsConnection:
        async with self._opening:
            return await self._opened()

    async def _opened(self) -> NatsConnection:
        self._check()
        if self._connection is not None:
            if not self._connection.closed:
                return self._connection
            await self._drop(self._connection)
        addresses = self._settings.addresses
        try:
            connection = await connect(self._settings, addresses[self._failures % len(addresses)])
        except BrokerUnavailable:
            self._failures += 1
            raise
        try:
            self._check()
            await self._prepare(connection)
            self._check()
        except JetStreamRefused as reason:
            await self._drop(connection)
            raise BrokerUnavailable(f"JetStream: {reason}") from None
        except BaseException:
            await self._drop(connection)
            raise
        self._connection = connection
        return connection

    def _check(self) -> None:
        if self._closed:
            raise BrokerUnavailable("the connection to the broker is closed")

    async def _drop(self, connection: NatsConnection) -> None:
        """Close a connection after a failure. The next one is to the next address."""
        self._failures += 1
        if self._connection is connection:
            self._connection = None
        await connection.close()

    async def restored(self, connection: NatsConnection) -> bool:
        """Make durable consumers that are missing. True if any was: it has no events from before.

        Raises JetStreamRefused and BrokerUnavailable.
        """
        if not self._settings.declare:
            return False
        wanted = self.names.consumers(ledger=self._settings.ledger)
        missing = wanted.keys() - await self._consumers(connection)
        for name in sorted(missing):
            request = durable_consumer(self.stream, name, wanted[name])
            await connection.request(f"CONSUMER.DURABLE.CREATE.{self.stream}.{name}", request)
        if missing and self._known:
            words = "A durable consumer was missing and was made again. Events that it had not accepted are gone."
            self._warn(words, consumers=", ".join(sorted(missing)), stream=self.stream, remedy=_REPLAY)
        self._known = True
        return bool(missing)

    # -- what JetStream has -------------------------------------------------------------------------

    async def _prepare(self, connection: NatsConnection) -> None:
        if not self._settings.declare and not self._read:
            return
        names = self.names
        probe = names.subject("ai_usage")
        self.stream = await self.find(connection, names.stream, probe) or await self._make(connection, event_stream)
        if not await self.find(connection, names.dead_stream, names.dead):
            await self._make(connection, dead_stream)
        await self.restored(connection)

    async def find(self, connection: NatsConnection, name: str, subject: str) -> str:
        """The stream of this name, or of any name with this subject. ``""``: there is none.

        Raises JetStreamRefused and BrokerUnavailable.
        """
        try:
            await connection.request(f"STREAM.INFO.{name}")
        except JetStreamRefused as reason:
            if not reason.not_found:
                raise
        else:
            return name
        found = await connection.request("STREAM.NAMES", {"subject": subject})
        return next(iter(json.decode(found, type=_Streams).streams or []), "")

    async def _make(self, connection: NatsConnection, config: Callable[[StreamNames, int], dict[str, object]]) -> str:
        """Make a stream, and return its name."""
        clustered = self._settings.quorum and not self._single
        made = config(self.names, REPLICAS if clustered else 1)
        name = str(made["name"])
        if not self._settings.declare:
            raise BrokerUnavailable(f"there is no stream {name}: make it, or set events.declare")
        try:
            await self._create(connection, name, made)
        except JetStreamRefused as reason:
            if clustered and reason.error.err_code in NO_PEERS:
                self._single = True
                words = "The NATS servers do not keep three copies of a stream. It has one copy."
                self._warn(words, stream=name, reason=str(reason))
                return await self._make(connection, config)
            if reason.error.err_code != STREAM_NAME_IN_USE:  # another process has just made it
                raise
        self._log("A stream of NATS was made.", stream=name, subjects=made["subjects"])
        return name

    async def _create(self, connection: NatsConnection, name: str, made: dict[str, object]) -> None:
        """Ask for a stream. Servers of a cluster that starts are waited for: a stream keeps the copies it began with.

        Raises JetStreamRefused and BrokerUnavailable.
        """
        clock = asyncio.get_running_loop()
        patience = clock.time() + (PEERS_SECS if connection.clustered else 0.0)
        while True:
            try:
                await connection.request(f"STREAM.CREATE.{name}", made)
                return
            except JetStreamRefused as reason:
                if reason.error.err_code not in NO_PEERS or clock.time() >= patience:
                    raise
            await asyncio.sleep(_PEERS_PAUSE_SECS)

    async def _consumers(self, connection: NatsConnection) -> set[str]:
        found: set[str] = set()
        while True:
            answer = await connection.request(f"CONSUMER.NAMES.{self.stream}", {"offset": len(found)})
            page = _decoded(answer)
            found.update(page.consumers or ())
            if not page.consumers or len(found) >= page.total:
                return found


def _decoded(answer: Raw) -> _Consumers:
    return json.decode(answer, type=_Consumers)
