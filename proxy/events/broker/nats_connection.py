"""One connection to a NATS server: requests and stored messages, each wait with a limit.

Reconnecting is ours, so that callers know what is not safe: nats-py's own would buffer.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from msgspec import DecodeError, Raw, Struct, ValidationError, json
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError, NoServersError

from proxy.events.broker.base import BrokerUnavailable
from proxy.events.settings import BrokerSettings

T = TypeVar("T")

WAIT_SECS: Final = 10.0  # for each step: connecting, a request, confirmations
PING_SECS: Final = 10  # a server that is silent for three of them is gone
CLOSED_EARLY: Final = "closed the connection: are user, password or token, and certificates right?"
_API: Final = "$JS.API"
_STATUS: Final = "Status"
_NO_RESPONDERS: Final = "503"  # nothing listens at a subject
_NOT_FOUND: Final = 404

# https://github.com/nats-io/nats-server/blob/main/server/errors.json
STREAM_NAME_IN_USE: Final = 10058  # with other settings
SUBJECTS_OVERLAP: Final = 10065  # with another stream's
NO_PEERS: Final = frozenset({10005, 10074})  # fewer servers than replicas


class JetStreamError(Struct, frozen=True):
    """An error of JetStream, as it is in answers."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(Struct, frozen=True):
    error: JetStreamError | None = None


class JetStreamRefused(Exception):
    """JetStream answered a request with an error."""

    def __init__(self, error: JetStreamError) -> None:
        super().__init__(error.description or f"error {error.err_code or error.code}")
        self.error = error

    @property
    def not_found(self) -> bool:
        return self.error.code == _NOT_FOUND


class StoredMessage(Struct, frozen=True):
    """A message for a stream."""

    subject: str
    body: bytes
    headers: dict[str, str]


class NatsConnection:
    """Made by ``connect``. Methods raise BrokerUnavailable; after that the connection is of no more use."""

    def __init__(self, client: Client, closed: asyncio.Future[None], seen: _Seen) -> None:
        self._client = client
        self._seen = seen
        self._closed = closed  # done when the connection is lost
        self._inbox = ""
        self._sent = 0
        self._waiting: dict[str, asyncio.Future[Msg]] = {}  # for confirmations, by the last word of their subject

    def __repr__(self) -> str:
        return f"<NatsConnection {'closed' if self.closed else 'open'}>"

    @property
    def closed(self) -> bool:
        return self._closed.done()

    @property
    def most_bytes(self) -> int:
        """Of one message, with its headers."""
        return self._client.max_payload

    @property
    def clustered(self) -> bool:
        """The server is one of a cluster, though it may not know the others yet."""
        return bool(getattr(self._client, "_server_info", {}).get("cluster"))

    async def request(self, path: str, body: object = None) -> Raw:
        """Ask JetStream's API for ``path``, such as ``STREAM.INFO.name``. Raises JetStreamRefused."""
        asked = b"" if body is None else json.encode(body)
        try:
            answer = await self._within(self._client.request(f"{_API}.{path}", asked, timeout=WAIT_SECS))
        except NoRespondersError:
            raise BrokerUnavailable("the NATS server has no JetStream") from None
        return _checked(answer.data)

    async def store(self, messages: Sequence[StoredMessage]) -> None:
        """Send messages, and wait until their streams have stored all. Raises JetStreamRefused."""
        if not self._inbox:
            self._inbox = self._client.new_inbox()
            await self._within(self._client.subscribe(f"{self._inbox}.*", cb=self._confirmed))
        try:
            answers = await self._within(self._send_all(messages))
        finally:
            for each in self._waiting.values():
                each.cancel()
            self._waiting.clear()
        for message, answer in zip(messages, answers, strict=True):
            if _status(answer) == _NO_RESPONDERS:
                raise JetStreamRefused(
                    JetStreamError(_NOT_FOUND, description=f"no stream takes the subject {message.subject}")
                )
            _checked(answer.data)

    async def subscribe(self, take: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Listen at a subject of our own. ``take`` gets what is sent to it."""
        return await self._within(self._client.subscribe(self._client.new_inbox(), cb=take))

    async def unsubscribe(self, subscription: Subscription) -> None:
        await self._within(subscription.unsubscribe())

    async def received(self, arrived: asyncio.Queue[Msg], seconds: float) -> Msg | None:
        """The next message of a queue; ``None``: none came in time. Raises BrokerUnavailable if none can come."""
        if not arrived.empty():
            return arrived.get_nowait()
        task = asyncio.ensure_future(arrived.get())
        try:
            await asyncio.wait((task, self._closed), timeout=max(seconds, 0.0), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            task.cancel()
            await asyncio.wait((task,))
        if self.closed:
            raise self._lost()
        return None

    async def send(self, subject: str, body: bytes = b"", reply: str = "") -> None:
        """Send without a confirmation."""
        await self._within(self._client.publish(subject, body, reply=reply))

    async def flush(self) -> None:
        """Wait until the server has taken all that was sent."""
        await self._within(self._client.flush(max(int(WAIT_SECS), 1)))

    async def close(self) -> None:
        """Does not raise."""
        await _ended(self._client)
        _settle(self._closed)

    async def _send_all(self, messages: Sequence[StoredMessage]) -> list[Msg]:
        loop, found = asyncio.get_running_loop(), list[asyncio.Future[Msg]]()
        for message in messages:
            self._sent += 1  # a confirmation that comes too late must not count for a later message
            found.append(loop.create_future())
            self._waiting[f"{self._sent}"] = found[-1]
            reply = f"{self._inbox}.{self._sent}"
            await self._client.publish(message.subject, message.body, reply=reply, headers=message.headers)
        return await asyncio.gather(*found)

    async def _confirmed(self, message: Msg) -> None:
        waiting = self._waiting.get(message.subject.rpartition(".")[2])
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def _within(self, what: Awaitable[T]) -> T:
        """Wait for the result, the limit, or the loss of the connection, whichever is first."""
        if self.closed:
            if asyncio.iscoroutine(what):
                what.close()
            raise self._lost()
        task = asyncio.ensure_future(what)
        try:
            await asyncio.wait((task, self._closed), timeout=WAIT_SECS, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        except MaxPayloadError:
            raise BrokerUnavailable(f"a message exceeds max_payload of the server ({self.most_bytes} bytes)") from None
        except NoRespondersError:
            raise
        except (NatsError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(reason_of(error)) from None
        finally:
            task.cancel()
            await asyncio.wait((task,), timeout=1.0)
        raise self._lost() if self.closed else BrokerUnavailable(f"no answer within {WAIT_SECS:g} s")

    def _lost(self) -> BrokerUnavailable:
        return BrokerUnavailable(reason_of(self._seen.last) if self._seen.last else "the connection was lost")


async def connect(settings: BrokerSettings, address: str) -> NatsConnection:
    """Connect to one address. Raises BrokerUnavailable, whose text has no password."""
    url = urlsplit(address)
    secure = url.scheme == "tls"
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    where = f"{host}:{url.port or 4222}"
    client, closed = Client(), asyncio.get_running_loop().create_future()
    seen = _Seen(closed)

    async def lost() -> None:
        _settle(closed)

    def credential(value: str) -> Callable[[], str]:
        def checked() -> str:
            """Called when the server has said what it is, before anything is sent to it."""
            if secure and not getattr(client, "_server_info", {}).get("tls_required"):
                raise BrokerUnavailable(f"{where} does not speak TLS; use nats:// if it need not")
            return value

        return checked

    user, password = unquote(url.username or ""), url.password
    try:
        async with asyncio.timeout(WAIT_SECS):
            await client.connect(
                f"nats://{where}",
                name="sluice",
                error_cb=seen.note,
                closed_cb=lost,
                allow_reconnect=False,
                connect_timeout=max(int(WAIT_SECS), 1),
                reconnect_time_wait=0,
                max_reconnect_attempts=1,
                ping_interval=PING_SECS,
                tls=_context(settings) if secure or settings.ca_file or settings.cert_file else None,
                tls_hostname=url.hostname,
                user=None if password is None else credential(user),
                password=None if password is None else credential(unquote(password)),
                # An empty one is none, and still checked.
                token=credential(user) if password is None and (user or secure) else None,
            )
    except BrokerUnavailable:
        await _ended(client)
        raise
    except (NatsError, OSError, TimeoutError, ssl.SSLError) as error:
        await _ended(client)
        cause = seen.last or error
        if isinstance(cause, ConnectionResetError | BrokenPipeError) and getattr(client, "_server_info", None):
            # Its words were lost with the connection, which it closes at once.
            raise BrokerUnavailable(f"{where}: {CLOSED_EARLY}") from None
        raise BrokerUnavailable(f"{where}: {reason_of(cause)}") from None
    except BaseException:
        await _ended(client)
        raise
    return NatsConnection(client, closed, seen)


def reason_of(error: BaseException) -> str:
    """One readable line."""
    if isinstance(error, TimeoutError):
        return f"no answer within {WAIT_SECS:g} s"
    if isinstance(error, NoServersError):
        return "cannot connect"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError):
        number = error.errno or 0
        words = os.strerror(number) if number > 0 else error.strerror
        return words or str(error) or type(error).__name__
    return (str(error).removeprefix("nats: ").strip() or type(error).__name__).replace("'", "")


class _Seen:
    """The last error that nats-py reported. A server does not answer a request that it does not permit."""

    def __init__(self, closed: asyncio.Future[None]) -> None:
        self.last: Exception | None = None
        self._closed = closed

    async def note(self, error: Exception) -> None:
        if not isinstance(error, NoServersError):
            self.last = error
            _settle(self._closed)


def _context(settings: BrokerSettings) -> ssl.SSLContext:
    """Raises OSError where a file cannot be read."""
    made = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.cert_file:
        made.load_cert_chain(settings.cert_file, settings.key_file or None)
    return made


def _checked(data: bytes) -> Raw:
    try:
        error = json.decode(data, type=_Answer).error
    except (DecodeError, ValidationError):
        raise BrokerUnavailable("the server's answer is not JetStream's") from None
    if error is not None:
        raise JetStreamRefused(error)
    return Raw(data)


def _status(message: Msg) -> str:
    return (message.headers or {}).get(_STATUS, "")


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _ended(client: Client) -> None:
    """Close it, also where the server does not read."""
    try:
        async with asyncio.timeout(1.0):
            await client.close()
    except (NatsError, OSError, TimeoutError, AssertionError, AttributeError):
        pass  # closed before it was whole
    finally:
        writer: asyncio.StreamWriter | None = getattr(getattr(client, "_transport", None), "_io_writer", None)
        if writer is not None:
            writer.transport.abort()  # what is still to be sent would hold the socket
