"""The responses on a connection: httptools (llhttp) parses, and what it leaves open is kept here.

That is: bounds of heads and trailers, interim responses, HEAD, bodies that end with the connection, and bytes after the
end of a response (RFC 9112).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import httptools

from proxy.client.dial import MESSAGES
from proxy.client.head import Head, read_head
from proxy.errors import BrokenAnswer, ConnectFailed, GatewayError
from proxy.net.headers import Header

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 256
MAX_INFORMATIONAL: Final = 8


class Sink(Protocol):
    """What takes a response. The calls come from the read callback and must not block."""

    def head(self, head: Head) -> Callable[[bytes], None]:
        """The final head; returns what takes the bytes of the body. Raises GatewayError to refuse the response."""

    def end(self) -> None:
        """The response is whole. The connection does nothing after this call, and may be used again within it."""

    def broken(self, fault: GatewayError) -> None:
        """The response will not come, or not to its end; the connection is closed."""


class WholeSink(Protocol):
    """Takes what a sink for answers of models never sees. The calls come from the read callback, too."""

    def read_head(self, status: int, headers: list[Header]) -> Head:
        """Read the final head, in place of ``head.read_head``. Raises GatewayError to refuse the response."""

    def interim(self, status: int, headers: list[Header]) -> None:
        """An interim response: 100, 102, 103 or an unknown one, never 101."""

    def trailer(self, name: bytes, value: bytes) -> None:
        """A trailer field, after the body and before ``end``."""


class ResponseParser:
    """``begin`` before each response, ``feed`` its bytes, then look at ``complete``.

    ``sink`` takes the response, and ``consume`` its body. Reset both to drop them. ``whole``: takes the rest of this
    response.

    ``between_chunks`` is true where the next byte begins a chunk of an uncompressed body, so that a whole chunk may be
    taken past the parser. ``keep_alive``: the response ended where its head said, and another one may follow.
    """

    __slots__ = (
        "_headers",
        "_informational",
        "_no_body",
        "_parser",
        "_proxied",
        "between_chunks",
        "complete",
        "consume",
        "feed",
        "head",
        "head_bytes",
        "keep_alive",
        "sink",
        "whole",
    )

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.feed: Callable[[bytes | memoryview], None] = self._parser.feed_data  # raises httptools.HttpParserError
        self.sink: Sink | None = None
        self.whole: WholeSink | None = None
        self._headers: list[Header] = []
        self._informational = 0
        self._no_body = False
        self._proxied = False
        self.head: Head | None = None  # the final one, once it is whole
        self.head_bytes = 0  # read before the head was whole; the caller counts them
        self.consume: Callable[[bytes], None] = discard
        self.complete = False
        self.keep_alive = False
        self.between_chunks = False

    def __repr__(self) -> str:
        return f"<ResponseParser {self.head!r}{' complete' if self.complete else ''}>"

    def begin(self, sink: Sink, no_body: bool, proxied: bool, whole: WholeSink | None = None) -> None:
        """Expect a response. ``no_body``: to HEAD. ``proxied``: a forward proxy may answer instead of the origin."""
        if self._no_body:
            self._renew()
        self.sink = sink
        self.whole = whole
        self._headers = []
        self._no_body = no_body
        self._proxied = proxied
        self._informational = self.head_bytes = 0
        self.head = None
        self.complete = self.keep_alive = self.between_chunks = False

    def _renew(self) -> None:
        """After a response to HEAD the parser of httptools still waits for the body that its head announces."""
        if self._parser is not None:
            self._parser = httptools.HttpResponseParser(self)
            self.feed = self._parser.feed_data

    def close(self) -> None:
        """Nothing is fed after this. The parser of httptools refers to this object: the cycle is broken."""
        self._parser = None
        self.feed = discard

    def oversized(self) -> BrokenAnswer | None:
        """The fault of a head that is not whole yet and exceeds its bounds."""
        if self.head_bytes > MAX_HEAD_BYTES:
            return BrokenAnswer("The provider's response head is too large.")
        return _too_many() if len(self._headers) > MAX_HEADERS else None

    def fault_of(self, error: httptools.HttpParserError) -> GatewayError | None:
        """What an exception of ``feed`` means; ``None``: bytes after the end, for which the response is still whole."""
        cause = error.__context__
        if isinstance(cause, GatewayError):
            return cause
        if isinstance(error, httptools.HttpParserCallbackError) and cause is not None:
            # A defect of the gateway must not be blamed on the provider.
            return GatewayError("The gateway failed to handle the answer.", detail=type(cause).__name__)
        if not self.complete:
            return BrokenAnswer("The provider's answer is not valid HTTP.", detail=str(error))
        self.keep_alive = False
        return None

    @property
    def ends_with_connection(self) -> bool:
        """Whether closing the connection ends the body as it should (RFC 9112 6.3)."""
        return self.head is not None and not self.head.framed and not self._no_body and not self.complete

    # -- httptools --------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            self.keep_alive = False  # bytes after the end

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:
            self._headers.append((name, value))
            return
        self.head_bytes += len(name) + len(value)
        if self.head_bytes > 2 * MAX_HEAD_BYTES:
            raise BrokenAnswer("The provider's trailers are too large.")
        if self.whole is not None:  # else the trailer is discarded, as RFC 9110 6.5.1 allows
            self.whole.trailer(name, value)

    def on_headers_complete(self) -> None:
        parser, sink = self._parser, self.sink
        if self.complete or parser is None or sink is None:
            return
        headers, status = self._headers, parser.get_status_code()
        if len(headers) > MAX_HEADERS:
            raise _too_many()
        if not 200 <= status <= 599:
            self._skip_informational(status)
            return
        if status == 407 and self._proxied:
            raise ConnectFailed(MESSAGES["upstream_proxy"], code="upstream_proxy", detail="the proxy answers 407")
        whole = self.whole
        self.head = head = read_head(status, headers) if whole is None else whole.read_head(status, headers)
        self.consume = sink.head(head)
        if self._no_body:
            self.complete = True
            self.keep_alive = parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self.consume(data)
        else:
            self.keep_alive = False  # a body after a response to HEAD

    def on_chunk_header(self) -> None:
        self.between_chunks = False

    def on_chunk_complete(self) -> None:
        head = self.head
        self.between_chunks = head is not None and not head.coding

    def on_message_complete(self) -> None:
        parser = self._parser
        if self.complete or self.head is None or parser is None:
            return
        self.complete = True
        self.keep_alive = parser.should_keep_alive()

    def _skip_informational(self, status: int) -> None:
        if not 100 <= status <= 599:
            raise BrokenAnswer("The provider's answer has a status that HTTP does not know.")
        self._informational += 1
        if status == 101 or self._informational > MAX_INFORMATIONAL:
            raise BrokenAnswer("The provider sent an interim response that was not requested.")
        headers, self._headers = self._headers, []
        if self.whole is not None:
            self.whole.interim(status, headers)


def _too_many() -> BrokenAnswer:
    return BrokenAnswer("The provider's response head has too many fields.")


def discard(data: bytes | memoryview) -> None:
    """Take bytes of a response that is no longer wanted."""
