"""Reads a request body: bounded in size and time, and decoded.

A body that arrived together with its head costs no await.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

from aiohttp.hdrs import CONTENT_ENCODING
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestPayloadError
from msgspec import Struct

from proxy.errors import ClientFault, ClientGone
from proxy.net.budget import Budget
from proxy.net.codings import CODINGS, decoder_of
from proxy.net.inflate import BadCompression
from proxy.server.request import Request

TURN = 512 * 1024  # bytes, read or decoded, after which other tasks have their turn
MIN_RATE = 1024  # bytes per second that a body must average beyond its first timeout


class BodyReader(Struct, eq=False):
    """Reads the body of one request. ``held`` bytes count against the budget until ``release``."""

    request: Request
    limit: int
    timeout: float
    budget: Budget
    held: int = 0
    received: int = 0  # bytes, after decoding

    @property
    def coding(self) -> str:
        """The Content-Encoding, ``""`` for a body without one."""
        coding = self.request.headers.get(CONTENT_ENCODING, "").strip().lower()
        return "" if coding == "identity" else coding

    @property
    def declared(self) -> int | None:
        """The Content-Length, or ``None`` if the body is chunked. aiohttp has refused invalid values."""
        length = self.request.headers.get("Content-Length")
        return int(length) if length is not None else None

    @property
    def declared_plain(self) -> int | None:
        """The length of the decoded body, or ``None`` if it is compressed or chunked."""
        return None if self.coding else self.declared

    def admit(self, *, decode: bool = True) -> None:
        """Refuse a body that is too large or cannot be decoded; else send 100 Continue to a client that waits for it.

        Raises ClientFault (413, 415).
        """
        if decode and (coding := self.coding) and coding not in CODINGS:
            raise ClientFault(
                "Request bodies may be encoded with gzip, deflate or zstd.", status=415, code="content_encoding"
            )
        if self.request.payload.is_eof():
            return  # all of it came with the head; it is counted when it is read
        declared = self.declared
        if declared is not None and declared > self.limit:
            raise self.too_large()
        if self.request.http11 and self.request.headers.get("Expect", "").lower() == "100-continue":
            self.request.send_continue()

    def read_now(self) -> bytes | None:
        """The body if all of it has come, uncompressed, else ``None``. Raises ClientFault (413), Overloaded."""
        request = self.request
        payload = request.payload
        if request.rare and CONTENT_ENCODING in request.headers and self.coding:
            return None
        if (
            type(payload) is StreamReader
            and payload._eof
            and payload._exception is None
            and len(payload._buffer) == 1
            and not (payload._cursor or payload._protocol._reading_paused)
        ):
            # The usual body: one piece, and reading was never paused. The reader's own way costs six calls.
            data = payload._buffer.popleft()
            request.body_read = True
        elif payload.is_eof() and payload.exception() is None:
            data = payload.read_nowait(-1)
        else:
            return None
        size, budget = len(data), self.budget
        used = budget.used + size
        if size > self.limit or used > budget.limit or self.received:
            self._count(size)  # raises in the first two cases
        else:
            self.received = self.held = size
            budget.used = used
        return data

    async def read_all(self) -> bytes:
        """The decoded body. Raises ClientFault (400, 408, 413), Overloaded, ClientGone."""
        # A join at the end would fault in 50 MB of fresh pages at once, and stop every stream for 30 ms.
        gathered = BytesIO()
        async for piece in self.pieces():
            gathered.write(piece)
        return gathered.getvalue()

    async def pieces(self, *, hold: bool = True) -> AsyncIterator[bytes]:
        """The decoded body as it arrives. ``hold=False``: pieces are forwarded at once, and do not count as held."""
        coding = self.coding
        if not coding:
            async for piece in self.raw():
                self._count(len(piece), hold=hold)
                yield piece
            return
        decoder = decoder_of(coding)
        arrived = done = 0
        try:
            async for raw in self.raw():
                arrived += len(raw)
                if arrived > self.limit:  # some codings allow any number of bytes that decode to nothing
                    raise self.too_large()
                for piece in decoder.feed(raw):
                    self._count(len(piece), hold=hold)
                    yield piece
                    done += len(piece)
                    if done > TURN:
                        done = 0
                        await asyncio.sleep(0)
                done += len(raw)
        except BadCompression:
            raise ClientFault("The compressed request body is damaged.", code="content_encoding") from None
        if not decoder.finished:
            raise ClientFault("The compressed request body is cut off.", code="content_encoding")

    async def untouched(self) -> AsyncIterator[bytes]:
        """The body without decoding, bounded by the limit."""
        async for piece in self.raw():
            self._count(len(piece), hold=False)
            yield piece

    def take(self) -> bytes:
        """All of a body that has come, without decoding. Raises ClientFault (413), Overloaded."""
        data = self.request.payload.read_nowait(-1)
        self._count(len(data))
        return data

    def hold(self, size: int) -> None:
        """Count what else is held for the request, until it is released. Raises Overloaded."""
        self.budget.take(size)
        self.held += size

    def release(self) -> None:
        held = self.held
        if held:
            self.budget.used -= held
            self.held = 0

    def _count(self, size: int, *, hold: bool = True) -> None:
        self.received = received = self.received + size
        if received > self.limit:
            raise self.too_large()
        if hold:
            self.hold(size)

    def too_large(self) -> ClientFault:
        """The fault of a body beyond the limit."""
        megabytes = self.limit / (1024 * 1024)
        return ClientFault(f"The request body is larger than {megabytes:g} MB.", status=413, code="request_too_large")

    async def raw(self) -> AsyncIterator[bytes]:
        """The body without decoding and counting. Raises ClientFault (400, 408), ClientGone."""
        payload = self.request.payload
        loop = asyncio.get_running_loop()
        taken, waited = 0, 0.0  # waited for the client: a reader that is slow itself is not the client's fault
        while not payload.at_eof():
            # A body that trickles must end; a large one on a slow line may take long.
            asked = loop.time()
            deadline = asked - waited + self.timeout + taken / MIN_RATE if self.timeout else None
            try:
                async with asyncio.timeout_at(deadline):
                    piece = await payload.readany()
                waited += loop.time() - asked
            except TimeoutError:
                raise ClientFault("The request body did not arrive in time.", status=408, code="body_timeout") from None
            except (RequestPayloadError, ConnectionError) as exc:
                raise _broken(exc) from None
            if piece:
                taken += len(piece)
                yield piece
        broken = payload.exception()
        if broken is not None:
            raise _broken(broken)


def _broken(cause: BaseException) -> BaseException:
    """What the end of a body that is not whole means."""
    if isinstance(cause, RequestPayloadError):
        return ClientFault("The request body is not framed as HTTP/1.1.", code="malformed_request")
    return ClientGone() if isinstance(cause, ConnectionError) else cause
