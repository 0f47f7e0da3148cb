"""One request as the client sent it, and the flow that feeds its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDictProxy

from proxy.errors import ClientGone, GatewayError
from proxy.server.rare import is_rare, name_of
from proxy.server.target import origin_form

if TYPE_CHECKING:
    from proxy.server.connection import Connection
    from proxy.server.flush import Flushing
    from proxy.server.server import Server


class Flow(Protocol):
    """The source of an answer that is being written: it hears of backpressure, and of the client's disconnect."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def client_gone(self) -> None: ...
    def interrupt(self, reason: BaseException | None) -> None: ...


class Request:
    """``reply`` takes the answer. ``remote`` is the peer's address, ``""`` on a unix socket.

    ``rare``: one of the headers of ``rare.py`` is there. ``response_lines``: header lines that every answer carries,
    those of CORS for example. ``ended_by``: why the handler was canceled, if the request did it.
    """

    __slots__ = (
        "_connection",
        "_continued",
        "_task",
        "body_read",
        "ended_by",
        "flow",
        "gone",
        "headers",
        "http11",
        "method",
        "path",
        "payload",
        "query",
        "rare",
        "raw_headers",
        "remote",
        "reply",
        "response_lines",
        "upgrade",
        "writing_paused",
    )

    def __init__(self, connection: Connection, message: RawRequestMessage, payload: StreamReader) -> None:
        self._connection = connection
        self.remote = connection.remote
        self.method: str = message.method
        target = message.path
        self.headers: CIMultiDictProxy[str] = message.headers
        if target[:1] != "/":
            target, self.headers = origin_form(target, message.headers)
        self.path, _, self.query = target.partition("?")
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = message.raw_headers
        self.rare = any(map(is_rare, map(name_of, message.raw_headers)))
        self.http11 = message.version is HttpVersion11 or message.version == HttpVersion11  # mostly the parser's own
        self.payload = payload
        self.body_read = False  # all of the body was handed out at once
        self.upgrade: bool = message.upgrade
        self._continued = False
        self._task = connection._task_handler
        self.gone = False
        self.writing_paused = connection._paused  # the client is slow; the connection keeps it up to date
        self.ended_by: BaseException | None = None
        self.flow: Flow | None = None
        self.response_lines = b""
        transport = connection.transport
        assert transport is not None
        # By position: keyword arguments to a class double the cost of the call.
        self.reply = connection.reply_type(
            transport, not self.http11, self.method == "HEAD", not message.should_close and not self.upgrade
        )

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"

    @property
    def secure(self) -> bool:
        """Whether it came over TLS. A proxy in front may have ended TLS itself."""
        return self._connection.secure

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
