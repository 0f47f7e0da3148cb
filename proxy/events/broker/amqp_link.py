"""A connection to RabbitMQ that ends every wait after a limit, and says why it failed in one readable text.

It uses aiormq, the lower half of the package aio-pika: the upper half costs 1.4 MB more and 30 us more a message.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiormq
from aiormq.channel import Channel
from aiormq.connection import Connection, TransportFactory
from yarl import URL

from proxy.events.broker.base import BrokerUnavailable
from proxy.events.settings import BrokerSettings

LIMIT_SECS: Final = 10.0
HEARTBEAT_SECS: Final = 30
CLOSE_SECS: Final = 2.0  # for the broker's answer to our goodbye

_blocked: WeakKeyDictionary[object, str] = WeakKeyDictionary()  # reason of the broker, by connection


class _BlockedReasons(logging.Handler):
    """aiormq tells the reason of connection.blocked to its log only."""

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, str) and "blocked by" in record.msg and isinstance(record.args, tuple):
            connection, reason, *_ = (*record.args, "")
            _blocked[connection] = str(reason)


def _quiet() -> None:
    """Keep aiormq from logging what it raises as an exception, too."""
    log = logging.getLogger("aiormq")
    if not any(isinstance(each, _BlockedReasons) for each in log.handlers):
        log.addHandler(_BlockedReasons())
        log.propagate = False
        log.setLevel(logging.WARNING)


class AmqpLink:
    """One open connection. ``place`` is its host and port."""

    def __init__(self, connection: Connection, transport: _AmqpSocket, place: str) -> None:
        self.place = place
        self._connection = connection
        self._transport = transport

    @property
    def open(self) -> bool:
        return self._connection.is_opened

    async def channel(self, *, confirms: bool = False) -> Channel:
        """Raises BrokerUnavailable."""
        with reasons(self.place):
            async with asyncio.timeout(LIMIT_SECS):
                return cast(Channel, await self._connection.channel(publisher_confirms=confirms))

    async def blocked(self) -> str:
        """Why the broker takes no messages now (memory or disk alarm); ``""``: it does."""
        try:
            async with asyncio.timeout(0):
                await self._connection.ready()  # does not yield where it is
        except TimeoutError:
            reason = _blocked.get(self._connection) or "memory or disk alarm"
            return f"{self.place} has blocked the connection: {reason}"
        return ""

    async def close(self) -> None:
        """Takes at most twice CLOSE_SECS, also where the broker does not read."""
        # A task, as a cancelled close() of aiormq leaves its own tasks running.
        closing = asyncio.ensure_future(self._connection.close(BrokerUnavailable(f"{self.place}: closed")))
        await asyncio.wait((closing,), timeout=CLOSE_SECS)
        self._transport.abort()
        await asyncio.wait((closing,), timeout=CLOSE_SECS)


class AmqpDialer:
    """Connects to one of several addresses: to the next one after a failure. ``name``: what RabbitMQ shows."""

    def __init__(self, settings: BrokerSettings, name: str, heartbeat: int = HEARTBEAT_SECS) -> None:
        self._settings = settings
        self._name = name
        self._heartbeat = heartbeat
        self._turn = 0

    def turn(self) -> None:
        """Take the next address from now on."""
        self._turn += 1

    async def connect(self) -> AmqpLink:
        """Raises BrokerUnavailable."""
        _quiet()
        addresses = self._settings.addresses
        address = addresses[self._turn % len(addresses)]
        try:
            return await self._connect(address, place_of(address))
        except BrokerUnavailable:
            self.turn()
            raise

    async def _connect(self, address: str, place: str) -> AmqpLink:
        with reasons(place):
            url = URL(address)
        query: dict[str, str | int] = {"heartbeat": self._heartbeat, "name": self._name}
        context = _tls(self._settings, place) if url.scheme == "amqps" else None
        if context and self._settings.cert_file and not url.user:
            query["auth"] = "external"  # the user is in the certificate
        transport = _AmqpSocket(context)
        connection = Connection(url.update_query(query), transport_factory=transport)
        link = AmqpLink(connection, transport, place)
        try:
            with reasons(place):
                async with asyncio.timeout(LIMIT_SECS):
                    await connection.connect()
        except BaseException:
            transport.abort()
            raise
        return link


class _AmqpSocket(TransportFactory):
    """Opens the socket, and keeps it for the end: a broker that does not read would hold it open."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await asyncio.open_connection(url.host, url.port, ssl=self._context)
        return reader, self._writer

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


def _tls(settings: BrokerSettings, place: str) -> ssl.SSLContext:
    """Read at each connection: certificates are renewed."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file or None)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise BrokerUnavailable(f"{place}: the files of events.tls cannot be used: {_said(error)}") from None
    return context


def place_of(address: str) -> str:
    """Host and port, without user and password."""
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}"


@contextmanager
def reasons(place: str) -> Iterator[None]:
    """Turn every failure of aiormq within into BrokerUnavailable."""
    try:
        yield
    except asyncio.CancelledError:
        # aiormq cancels what waits for a connection that ends. A cancellation of the task itself stays one.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable(f"{place}: the connection ended") from None
    except TimeoutError:
        raise BrokerUnavailable(f"{place} does not respond") from None
    except (aiormq.AMQPError, OSError, RuntimeError, ValueError) as error:
        raise BrokerUnavailable(f"{place}: {_reason(error)}") from None
    except Exception as error:
        # aiormq ends what waits with a plain Exception where the connection ended right behind a frame.
        if type(error) is not Exception:
            raise
        raise BrokerUnavailable(f"{place}: the connection ended") from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): see events.tls.caFile"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or _said(error)}): is it a port for TLS, and does it want a certificate?"
    if isinstance(error, aiormq.exceptions.ProbableAuthenticationError):
        return "it refuses the user or the password"
    if isinstance(error, aiormq.AuthenticationError):
        return "it takes neither a password nor a certificate as a login"
    if isinstance(error, aiormq.exceptions.InvalidFrameError) and "Connection.OpenOk" in str(error):
        # aiormq does not tell the broker's words here.
        return "it refuses the virtual host: it does not exist, the user may not use it, or it has too many connections"
    if isinstance(error, aiormq.exceptions.ProtocolSyntaxError | aiormq.exceptions.IncompatibleProtocolError):
        return "it does not speak AMQP 0-9-1"
    if isinstance(error, aiormq.exceptions.AMQPConnectionError) and "unexpectedly closed" in str(error):
        return "it closed the connection"
    return _said(error)


def _said(error: Exception) -> str:
    """The broker's or the system's own words."""
    if isinstance(error, ConnectionError) and not isinstance(error, aiormq.AMQPError) and error.errno:
        return os.strerror(error.errno)  # asyncio puts the address into the text
    if isinstance(error, OSError) and error.strerror and not isinstance(error, aiormq.AMQPError):
        return error.strerror
    words: Sequence[object] = [each for each in error.args if isinstance(each, str)]
    return "; ".join(map(str, words)) or type(error).__name__
