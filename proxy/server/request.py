"""One request as the client sent it, and the flow that feeds its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import StreamReader
from msgspec import Struct
from multidict import CIMultiDictProxy

from proxy.errors import ClientGone, GatewayError
from proxy.server.rare import RARE_WEIGHT, name_of, weight_of
from proxy.server.target import origin_form

if TYPE_CHECKING:
    import asyncio

    from proxy.server.connection import Connection
    from proxy.server.flush import Flushing
    from proxy.server.reply import Reply
    from proxy.server.server import Server


class Flow(Protocol):
    """The source of an answer that is being written: it hears of backpressure, and of the client's disconnect."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def client_gone(self) -> None: ...
    def interrupt(self, reason: BaseException | None) -> None: ...


class Request(Struct, eq=False):
    """``reply`` takes the answer. ``remote`` is the peer's address, ``""`` on a unix socket.

    ``rare``: one of the headers of ``rare.py`` is there; ``attributed``: one that says what the call belongs to
    (``wire/attribution.py``). ``response_lines``: header lines that every answer carries,
    those of CORS for example. ``ended_by``: why the handler was canceled, if the request did it.
    """

    _connection: Connection
    _task: asyncio.Task[None] | None
    remote: str
    method: str
    path: str
    query: str
    headers: CIMultiDictProxy[str]
    raw_headers: tuple[tuple[bytes, bytes], ...]
    rare: bool
    attributed: bool
    http11: bool
    upgrade: bool
    payload: StreamReader
    reply: Reply
    writing_paused: bool  # the client is slow; the connection keeps it up to date
    body_read: bool = False  # all of the body was handed out at once
    _continued: bool = False
    gone: bool = False
    ended_by: BaseException | None = None
    flow: Flow | None = None
    response_lines: bytes = b""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"

    @property
    def secure(self) -> bool:
        """Whether it came over TLS. A proxy in front may have ended TLS itself."""
        return self._connection.secure

    @property
    def certificate_name(self) -> str:
        """The name in the client's verified certificate; ``""``: it has none."""
        return self._connection.certificate_name

    @property
    def unsent(self) -> int:
        """Bytes of the reply that the kernel did not take yet."""
        transport = self._connection.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    @property
    def flushing(self) -> Flushing:
        """The listener's flow control for answers without a flow. Raises ClientGone."""
        server = self._connection._manager
        if self.gone or server is None:
            raise ClientGone
        return cast("Server", server).flushing

    async def flush(self) -> None:
        """Wait until no more is unsent than any connection may hold. Raises ClientGone."""
        flushing = self.flushing
        if self.writing_paused:
            await flushing.wait(self)

    # -- the body ---------------------------------------------------------------------------------

    def send_continue(self) -> None:
        """RFC 9110 10.1.1: the client waits for this before it sends its body."""
        self._continued = True
        transport = self._connection.transport
        if transport is not None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def body_received(self) -> bool:
        """Whether the whole body has come."""
        return self.body_read or (self.payload.is_eof() and self.payload.exception() is None)

    @property
    def body_withheld(self) -> bool:
        """Whether the rest of the body may never come. What follows could be taken for it."""
        if self.payload.exception() is not None:
            return True
        return not self.payload.is_eof() and "Expect" in self.headers and not self._continued

    def cut_body(self, reason: BaseException) -> None:
        """Raise ``reason`` where the body is read, unless all of it has come."""
        payload = self.payload
        if not payload.is_eof():
            payload.set_exception(reason)
            # aiohttp's reader checks for an exception before it waits, not after. Only the end is sure to wake it.
            payload.feed_eof()

    # -- its end ----------------------------------------------------------------------------------

    def lost(self) -> None:
        """The connection is gone, or half closed, which counts as gone."""
        self.gone = True
        if self.flow is not None:
            self.cut_body(ClientGone())
            self.flow.client_gone()
        elif not (self.reply.ended and self.body_received):  # after its answer a client may leave
            self._end(ClientGone())

    def interrupt(self, reason: GatewayError) -> None:
        """End the request from outside. The client gets ``reason``."""
        if self.flow is not None:
            self.cut_body(reason)
            self.flow.interrupt(reason)
        else:
            self._end(reason)

    def _end(self, reason: BaseException) -> None:
        """Without a flow the handler waits for the body, or for something that only a cancellation reaches."""
        if not self.body_received:
            self.cut_body(reason)
        elif self._task is not None:
            self.ended_by = reason
            self._task.cancel()


def request_of(connection: Connection, message: RawRequestMessage, payload: StreamReader) -> Request:
    """The request that aiohttp has parsed. An invalid target stays as it is, and is refused later."""
    target, headers = message.path, message.headers
    if target[:1] != "/":
        target, headers = origin_form(target, headers)
    path, _, query = target.partition("?")
    method, upgrade, raw_headers = message.method, message.upgrade, message.raw_headers
    rare = attributed = False
    weight = sum(map(weight_of, map(name_of, raw_headers)))
    if weight:
        rare, attributed = weight >= RARE_WEIGHT, weight % RARE_WEIGHT != 0
    http11 = message.version is HttpVersion11 or message.version == HttpVersion11  # mostly the parser's own
    transport = connection.transport
    assert transport is not None
    # By position: keyword arguments to a class double the cost of the call.
    reply = connection.reply_type(transport, not http11, method == "HEAD", not message.should_close and not upgrade)
    return Request(
        connection,
        connection._task_handler,
        connection.remote,
        method,
        path,
        query,
        headers,
        raw_headers,
        rare,
        attributed,
        http11,
        upgrade,
        payload,
        reply,
        connection._paused,
    )
