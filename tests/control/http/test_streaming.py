"""aiohttp responses on our connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from proxy.control.http.router import ControlRoute
from proxy.control.http.streaming import ReplyWriter, aiohttp_request
from proxy.server.request import Request
from tests.control.server import ControlServer
from tests.support import until

Answering = Callable[[Request, ReplyWriter], Awaitable[None]]


class StreamServer(ControlServer):
    """``answer`` is the handler of /admin/x; it gets a writer for the client."""

    def __init__(self) -> None:
        self.answer: Answering
        self.left: list[Request] = []
        super().__init__(lambda plane: [ControlRoute("GET", "/admin/x", "open", self._route)])

    async def _route(self, request: Request) -> None:
        request.flow = writer = ReplyWriter(request, lambda: self.left.append(request))
        try:
            await self.answer(request, writer)
        finally:
            request.flow = None


@pytest.fixture
async def plane() -> AsyncIterator[StreamServer]:
    async with StreamServer() as plane:
        yield plane


async def whole(request: Request, writer: ReplyWriter) -> None:
    aiohttp_side = aiohttp_request(request, writer)
    response = web.Response(
        text=f"{aiohttp_side.method} {aiohttp_side.path} {aiohttp_side.query['q']}", headers={"X-Own": "yes"}
    )
    await response.prepare(aiohttp_side)
    await response.write_eof()


async def test_a_response_has_its_own_headers_and_our_framing(plane: StreamServer) -> None:
    plane.answer = whole
    client = await plane.client()
    for _ in range(2):
        answer = await client.fetch("GET", "/admin/x?q=%C3%A9")
        assert (answer.status, answer.body.decode()) == (200, "GET /admin/x é")
        assert (answer.header("x-own"), answer.header("content-type")) == ("yes", "text/plain; charset=utf-8")
        assert (answer.header("server"), answer.header("date")) == (None, None)


async def test_a_slow_client_pauses_the_writer(plane: StreamServer) -> None:
    written = 0

    async def much(request: Request, writer: ReplyWriter) -> None:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(aiohttp_request(request, writer))
        for _ in range(400):
            await response.write(b"x" * 50_000)
            written += 1
        await response.write_eof()

    plane.answer = much
    client = await plane.client()
    await client.request("GET", "/admin/x")
    await client.read_head()
    await until(lambda: not writer_of(plane)._flowing.is_set(), "the client's buffers to be full")
    assert written < 400
    assert await client.read_body() == b"x" * 50_000 * 400


async def test_a_client_that_reads_nothing_is_disconnected_after_the_client_stall(plane: StreamServer) -> None:
    ended: list[BaseException] = []

    async def much(request: Request, writer: ReplyWriter) -> None:
        response = web.StreamResponse()
        await response.prepare(aiohttp_request(request, writer))
        try:
            while True:
                await response.write(b"x" * 50_000)
        except ConnectionResetError as error:
            ended.append(error)

    plane.answer = much
    plane._listener.server.flushing.client_stall = 0.2
    client = await plane.client()
    await client.request("GET", "/admin/x")
    await client.read_head()
    await until(lambda: ended, "the writer to raise")
    assert len(plane.left) == 1


def writer_of(plane: StreamServer) -> ReplyWriter:
    (connection,) = plane._listener.server.connections
    assert connection.request is not None
    assert isinstance(connection.request.flow, ReplyWriter)
    return connection.request.flow


async def test_a_write_after_a_disconnect_raises(plane: StreamServer) -> None:
    raised: list[BaseException] = []

    async def on_and_on(request: Request, writer: ReplyWriter) -> None:
        response = web.StreamResponse()
        await response.prepare(aiohttp_request(request, writer))
        try:
            while True:
                await response.write(b"x" * 100_000)
        except ConnectionResetError as error:
            raised.append(error)

    plane.answer = on_and_on
    client = await plane.client()
    await client.request("GET", "/admin/x")
    await client.read_head()
    client.reset()
    await until(lambda: raised, "the writer to raise")
    assert len(plane.left) == 1


async def test_drop_aborts_the_connection(plane: StreamServer) -> None:
    async def dropping(request: Request, writer: ReplyWriter) -> None:
        response = web.StreamResponse()
        await response.prepare(aiohttp_request(request, writer))
        await response.write(b"begun")
        writer.drop()
        with pytest.raises(ConnectionResetError):
            await response.write(b"more")

    plane.answer = dropping
    client = await plane.client()
    await client.request("GET", "/admin/x")
    assert b"more" not in await client.eof()
    assert not bytes(client.received).endswith(b"0\r\n\r\n")
