"""One request: how its target and body are read, and how it ends when the client leaves or the gateway stops."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpVersion, HttpVersion10, HttpVersion11
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.errors import ClientGone, ShuttingDown
from proxy.server.connection import Connection
from proxy.server.reply import Reply
from proxy.server.request import Request, request_of

STOP = ShuttingDown("Stop.")


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 7


class RecordingFlow:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def pause(self) -> None:
        self.heard.append("pause")

    def resume(self) -> None:
        self.heard.append("resume")

    def client_gone(self) -> None:
        self.heard.append("client gone")

    def interrupt(self, reason: BaseException | None) -> None:
        self.heard.append(reason)


def body(data: bytes = b"", *, whole: bool = True) -> StreamReader:
    loop = asyncio.get_running_loop()
    reader = StreamReader(BaseProtocol(loop), limit=2**16, loop=loop)
    if data:
        reader.feed_data(data)
    if whole:
        reader.feed_eof()
    return reader


def request_for(
    target: str = "/v1/models?a=1",
    *,
    method: str = "POST",
    payload: StreamReader | None = None,
    version: HttpVersion = HttpVersion11,
    task: Any = None,
    **headers: str,
) -> tuple[Wire, Request]:
    wire = Wire()
    connection = SimpleNamespace(
        remote="192.0.2.1",
        transport=wire,
        reply_type=Reply,
        secure=False,
        _task_handler=task,
        _paused=False,
        _manager=None,
    )
    fields = CIMultiDict(
        {"Host": "gateway.example"} | {name.replace("_", "-"): value for name, value in headers.items()}
    )
    message = SimpleNamespace(
        method=method,
        path=target,
        headers=CIMultiDictProxy(fields),
        raw_headers=tuple((name.encode(), value.encode()) for name, value in fields.items()),
        version=version,
        upgrade=False,
        should_close=False,
    )
    return wire, request_of(cast("Connection", connection), cast("Any", message), payload or EMPTY_PAYLOAD)


async def test_the_target_is_a_path_and_a_query() -> None:
    _, request = request_for()
    assert (request.path, request.query, request.method, request.remote) == ("/v1/models", "a=1", "POST", "192.0.2.1")
    assert repr(request) == "<Request POST /v1/models>"


@pytest.mark.parametrize(
    ("headers", "rare", "attributed"),
    [
        ({}, False, False),
        ({"session-id": "s"}, False, True),
        ({"x-request-id": "r"}, True, False),
        ({"x-request-id": "r", "x-router-labels": "a=1", "session-id": "s"}, True, True),
    ],
)
async def test_a_request_knows_which_headers_must_be_looked_up(
    headers: dict[str, str], rare: bool, attributed: bool
) -> None:
    _, request = request_for(**headers)
    assert (request.rare, request.attributed) == (rare, attributed)


async def test_a_target_in_absolute_form_names_the_host() -> None:
    _, request = request_for("http://other.example/v1/x?b=2")
    assert (request.path, request.query, request.headers["Host"]) == ("/v1/x", "b=2", "other.example")


@pytest.mark.parametrize(
    ("version", "http11"), [(HttpVersion11, True), (HttpVersion(1, 1), True), (HttpVersion10, False)]
)
async def test_the_reply_knows_the_version_of_http(version: HttpVersion, http11: bool) -> None:
    _, request = request_for(version=version)
    assert (request.http11, request.reply.http10) == (http11, not http11)


async def test_unsent_bytes_are_the_transports() -> None:
    assert request_for()[1].unsent == 7


# -- the body -----------------------------------------------------------------------------------------------------


async def test_a_body_has_come_when_its_end_did() -> None:
    assert request_for(payload=body(b"x"))[1].body_received
    assert not request_for(payload=body(b"x", whole=False))[1].body_received
    broken = body(b"x")
    broken.set_exception(ConnectionError())
    assert not request_for(payload=broken)[1].body_received


async def test_a_body_that_waits_for_an_interim_answer_may_never_come() -> None:
    wire, request = request_for(payload=body(whole=False), Expect="100-continue")
    assert request.body_withheld
    request.send_continue()
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not request.body_withheld


async def test_a_cut_body_raises_where_it_is_read() -> None:
    payload = body(b"x", whole=False)
    _, request = request_for(payload=payload)
    request.cut_body(STOP)
    with pytest.raises(ShuttingDown):
        await payload.readany()


async def test_a_whole_body_is_not_cut() -> None:
    payload = body(b"x")
    request_for(payload=payload)[1].cut_body(STOP)
    assert await payload.readany() == b"x"


# -- its end --------------------------------------------------------------------------------------------------------


async def test_a_flow_hears_that_the_client_left_or_that_the_gateway_stops() -> None:
    _, request = request_for()
    request.flow = flow = RecordingFlow()
    request.interrupt(STOP)
    request.lost()
    assert (flow.heard, request.gone) == ([STOP, "client gone"], True)


@pytest.mark.parametrize("how", ["lost", "interrupt"])
async def test_without_a_flow_the_handler_is_canceled_once_the_body_is_here(how: str) -> None:
    task = asyncio.ensure_future(asyncio.sleep(3600))
    _, request = request_for(task=task)
    request.lost() if how == "lost" else request.interrupt(STOP)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(request.ended_by, ClientGone if how == "lost" else ShuttingDown)


async def test_without_a_flow_the_body_is_cut_while_it_is_still_on_its_way() -> None:
    payload = body(whole=False)
    _, request = request_for(payload=payload)
    request.lost()
    with pytest.raises(ClientGone):
        await payload.readany()
    assert request.ended_by is None


async def test_a_client_may_leave_after_its_answer() -> None:
    task = asyncio.ensure_future(asyncio.sleep(0))
    _, request = request_for(task=task)
    request.reply.send(200, b"")
    request.lost()
    await task
    assert request.ended_by is None


async def test_nothing_waits_for_a_client_that_left() -> None:
    _, request = request_for()
    request.gone = True
    with pytest.raises(ClientGone):
        await request.flush()
