"""Services that fail, over real sockets: what the client gets, and which address gets the next request."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support import (
    Chunk,
    Close,
    Headers,
    PauseReading,
    RawClient,
    Reset,
    ResumeReading,
    Send,
    Stall,
    Upstream,
    Wait,
    until,
    within,
)
from tests.support.service_gateway import ServiceGateway, plain, to_services
from tests.support.upstream import Request

MB = 1024 * 1024
LARGE = 100 * MB
# Bytes that may be under way: buffers of the gateway, and of the kernel on loopback (4 MB to send, 6 to receive) on
# both sides.
UNDER_WAY = 40 * MB


@pytest.fixture
async def one() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


@pytest.fixture
async def two() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: plain(b"two"))
        yield up


def first_at(one: Upstream, *others: Upstream, **options: Any) -> dict[str, Any]:
    """A configuration whose first choice is ``one``."""
    config = to_services(one, *others, **options)
    config["services"]["s"]["addresses"] = [
        {"url": each.origin, "priority": number} for number, each in enumerate((one, *others))
    ]
    return config


# -- before the head -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("end", [Close(), Reset()])
async def test_a_service_that_dies_before_its_head_is_replaced(
    one: Upstream, two: Upstream, method: str, end: Any
) -> None:
    one.on(lambda request: [end])
    async with ServiceGateway(first_at(one, two)) as gw:
        client = await gw.client()
        answer = await client.fetch(method, "/s", body=b"body" if method == "PUT" else None)
        assert answer.status == 200
        assert bytes((await two.request(0)).body) == (b"body" if method == "PUT" else b"")
        assert (gw.address(one).failures, gw.address(two).failures) == (1, 0)


async def test_a_post_is_sent_once(one: Upstream, two: Upstream) -> None:
    one.on(lambda request: [Reset()])
    async with ServiceGateway(first_at(one, two)) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", "/s", body=b"body")
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_disconnected")
        assert (len(one.requests), len(two.requests)) == (1, 0)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_service_that_refuses_connections_is_replaced(one: Upstream, two: Upstream, method: str) -> None:
    async with ServiceGateway(first_at(one, two)) as gw:
        await one.stop()
        client = await gw.client()
        answer = await client.fetch(method, "/s", body=b"x" * 200_000 if method == "POST" else None)
        assert (answer.status, answer.body) == (200, b"two")
        await one.start()


async def test_a_body_that_still_comes_goes_to_the_next_address(one: Upstream, two: Upstream) -> None:
    one.on_head(lambda request: [Reset()])
    async with ServiceGateway(first_at(one, two)) as gw:
        client = await gw.client()
        await client.request("PUT", "/s", headers=[("Content-Length", "6")])
        await client.send(b"abc")
        await within(two.head(0), "the second attempt")
        await client.send(b"def")
        assert (await client.read_answer()).body == b"two"
        assert bytes(two.requests[0].body) == b"abcdef"


async def test_a_service_that_stalls_before_its_head_is_replaced(one: Upstream, two: Upstream) -> None:
    one.on(lambda request: [Stall()])
    async with ServiceGateway(first_at(one, two, service={"timeouts": {"headers": 0.05}})) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/s")).body == b"two"
        assert (await gw.done()).attempts[0].failure == "timeout_headers"
        await within(one.requests[0].gone.wait(), "the end of the first attempt")


async def test_a_service_that_stalls_alone_is_a_504(one: Upstream) -> None:
    one.on(lambda request: [Stall()])
    config = first_at(one, service={"timeouts": {"headers": 0.05}}, route={"retries": {"attempts": 0}})
    async with ServiceGateway(config) as gw:
        client = await gw.client()
        answer = await client.fetch("GET", "/s")
        assert (answer.status, answer.json["error"]["code"]) == (504, "timeout_headers")
        assert answer.json["error"]["message"].startswith("The service did not answer in time")


async def test_a_busy_service_is_replaced(one: Upstream, two: Upstream) -> None:
    one.on(lambda request: plain(b"busy", status=503))
    async with ServiceGateway(first_at(one, two)) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/s")).body == b"two"
        answer = await client.fetch("POST", "/s")
        assert (answer.status, answer.body) == (503, b"busy")


async def test_all_addresses_down_is_the_last_failure(one: Upstream, two: Upstream) -> None:
    async with ServiceGateway(first_at(one, two)) as gw:
        await one.stop()
        await two.stop()
        client = await gw.client()
        answer = await client.fetch("GET", "/s")
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_unreachable")
        assert len((await gw.done()).attempts) == 3
        await one.start()
        await two.start()


async def test_idle_connections_that_a_service_closes_fail_no_request(one: Upstream) -> None:
    one.on(lambda request: plain(b"one"))
    async with ServiceGateway(first_at(one, route={"retries": {"attempts": 0}})) as gw:
        client = await gw.client()
        for number in range(3):
            for method in ("GET", "POST"):
                assert (await client.fetch(method, "/s")).body == b"one"
            connection = one.connections[number]
            connection._transport.close()
            await within(connection.lost.wait(), "the end of the connection")
            await until(lambda: not len(gw.app.upstream.pool), "the gateway to notice")
        assert gw.address(one).failures == 0


async def test_a_connection_that_closes_as_a_request_comes_fails_no_get(one: Upstream) -> None:
    one.on(lambda request: [Close()] if len(request.connection.requests) > 1 else plain(b"one"))
    async with ServiceGateway(first_at(one, route={"retries": {"attempts": 0}})) as gw:
        client = await gw.client()
        for _ in range(4):
            assert (await client.fetch("GET", "/s")).body == b"one"
        assert gw.address(one).failures == 0
        assert all(len(exchange.attempts) == 1 for exchange in gw.served)


# -- within the answer -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", [Close(), Reset()])
@pytest.mark.parametrize("framing", [("Content-Length", "10"), ("Transfer-Encoding", "chunked")])
async def test_an_answer_that_breaks_never_looks_whole(one: Upstream, two: Upstream, framing: Any, end: Any) -> None:
    sent = asyncio.Event()
    piece = Chunk(b"abc") if framing[1] == "chunked" else Send(b"abc")
    one.on(lambda request: [Headers(200, [framing]), piece, Wait(sent), end])
    async with ServiceGateway(first_at(one, two)) as gw:
        client = await gw.client()
        await client.request("GET", "/s")
        await client.read_head()
        assert await client.read_some() == b"abc"
        sent.set()
        assert await client.eof() == b""
        exchange = await gw.done()
        assert (exchange.outcome, exchange.error) == ("broken", "upstream_disconnected")
        assert (gw.address(one).failures, two.requests) == (1, [])


async def test_an_answer_that_breaks_is_reset_for_http10(one: Upstream) -> None:
    sent = asyncio.Event()
    one.on(lambda request: [Headers(200, [("Transfer-Encoding", "chunked")]), Chunk(b"abc"), Wait(sent), Close()])
    async with ServiceGateway(first_at(one)) as gw:
        client = await gw.client()
        await client.send(b"GET /s HTTP/1.0\r\n\r\n")
        await until(lambda: gw.bytes_sent == 3, "the first part")
        sent.set()
        await gw.done()
        with pytest.raises(ConnectionResetError):
            await _received(client)


async def test_an_answer_that_stalls_is_cut(one: Upstream) -> None:
    one.on(lambda request: [Headers(200, [("Content-Length", "10")]), Send(b"abc"), Stall()])
    async with ServiceGateway(first_at(one, service={"timeouts": {"idle": 0.05}})) as gw:
        client = await gw.client()
        await client.request("GET", "/s")
        await client.read_head()
        assert await client.eof() == b"abc"
        exchange = await gw.done()
        assert (exchange.outcome, exchange.error) == ("broken", "timeout_idle")


async def test_an_answer_takes_no_longer_than_the_clock_total(one: Upstream) -> None:
    def trickle(request: Request) -> Iterator[Any]:
        yield Headers(200, [("Transfer-Encoding", "chunked")])
        while not request.gone.is_set():
            yield Chunk(b"x" * 100_000)

    one.on(trickle)
    async with ServiceGateway(first_at(one, service={"timeouts": {"total": 0.1, "clientStall": 0}})) as gw:
        client = await gw.client()
        await client.request("GET", "/s")
        await client.eof()
        assert (await gw.done()).error == "timeout_total"


async def test_bytes_that_are_no_http_are_a_502(one: Upstream, two: Upstream) -> None:
    one.on(lambda request: [b"SSH-2.0-OpenSSH\r\n", Stall()])
    async with ServiceGateway(first_at(one, route={"retries": {"attempts": 0}})) as gw:
        client = await gw.client()
        answer = await client.fetch("GET", "/s")
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_broken_answer")


# -- the client, and the end -----------------------------------------------------------------------


async def test_a_client_that_leaves_is_no_failure_of_the_service(one: Upstream) -> None:
    one.on(lambda request: [Stall()])
    async with ServiceGateway(first_at(one)) as gw:
        client = await gw.client()
        await client.request("GET", "/s")
        request = await one.request(0)
        client.close()
        await within(request.gone.wait(), "the end of the connection to the service")
        exchange = await gw.done()
        assert (exchange.outcome, exchange.status) == ("client_gone", 0)
        address = gw.address(one)
        assert (address.failures, address.in_flight) == (0, 0)


async def test_a_client_that_leaves_within_its_body_ends_the_request(one: Upstream) -> None:
    async with ServiceGateway(first_at(one)) as gw:
        client = await gw.client()
        await client.request("POST", "/s", headers=[("Content-Length", "10")])
        await client.send(b"abc")
        request = await one.head(0)
        client.close()
        await within(request.gone.wait(), "the end of the connection to the service")
        assert (await gw.done()).outcome == "client_gone"


async def test_a_client_that_reads_nothing_is_cut(one: Upstream) -> None:
    one.on(lambda request: [Headers(200, [("Content-Length", str(LARGE))]), *(Send(bytes(MB)) for _ in range(100))])
    async with ServiceGateway(first_at(one, service={"timeouts": {"clientStall": 0.1}})) as gw:
        client = await gw.client(receive_buffer=4096)
        await client.request("GET", "/s")
        exchange = await gw.done()
        assert (exchange.outcome, exchange.error) == ("client_gone", "timeout_clientStall")
        assert gw.address(one).failures == 0


async def test_a_stop_ends_requests_that_do_not_end(one: Upstream) -> None:
    one.on(lambda request: [Stall()])
    async with ServiceGateway(first_at(one, server={"drainSecs": 0})) as gw:
        client = await gw.client()
        await client.request("GET", "/s")
        await one.request(0)
        stopping = asyncio.ensure_future(gw.app.serving.drain(0))
        answer = await client.read_answer()
        assert (answer.status, answer.json["message"]) == (503, "Request cancelled: server is shutting down")
        await stopping
        assert (await gw.done()).outcome == "cancelled"
        assert gw.address(one).failures == 0


# -- an address that dies under load ---------------------------------------------------------------


async def test_an_address_that_dies_under_load_fails_no_request(one: Upstream, two: Upstream) -> None:
    clients_number, each = 8, 15
    # One write each: it arrives whole, or not at all.
    one.on(lambda request: [Send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")])
    async with ServiceGateway(to_services(one, two, route={"retries": {"attempts": 2}})) as gw:
        answers: list[int] = []
        half = asyncio.Event()

        async def load(client: RawClient) -> None:
            for number in range(each):
                answers.append((await client.fetch("GET", "/s")).status)
                if number == each // 2:
                    half.set()

        clients = [await gw.client() for _ in range(clients_number)]
        running = [asyncio.ensure_future(load(client)) for client in clients]
        await within(half.wait(), "half of the load")
        await one.stop()
        for task in running:
            await within(task, "the rest of the load")
        assert answers == [200] * (clients_number * each)
        assert {exchange.status for exchange in gw.served} == {200}
        assert gw.address(one).in_flight == gw.address(two).in_flight == 0
        await one.start()


@pytest.mark.parametrize(("number", "percent", "breaker"), [(10, 0, False), (40, 100, False), (40, 0, True)])
async def test_requests_in_flight_at_an_address_that_dies_go_to_another_if_they_are_safe_to_repeat(
    one: Upstream, two: Upstream, number: int, percent: int, breaker: bool
) -> None:
    all_there = asyncio.Event()
    one.on(lambda request: [Stall()])
    two.on(lambda request: [Wait(all_there), *plain(b"two")])
    route, service = {"retries": {"percent": percent}}, {"breaker": {"enabled": breaker}}
    async with ServiceGateway(first_at(one, two, route=route, service=service)) as gw:
        clients = [await gw.client() for _ in range(number + 1)]
        for client in clients[1:]:
            await client.request("GET", "/s")
        await clients[0].request("POST", "/s", body=b"body")
        await one.request(number)
        await one.stop()
        await two.request(number - 1)
        all_there.set()
        answers = [await client.read_answer() for client in clients]
        assert [answer.status for answer in answers] == [502] + [200] * number
        assert {request.method for request in two.requests} == {"GET"}
        await one.start()


# -- large bodies ----------------------------------------------------------------------------------


async def test_a_large_download_waits_for_its_client(one: Upstream) -> None:
    one.on(lambda request: [Headers(200, [("Content-Length", str(LARGE))]), *(Send(bytes(MB)) for _ in range(100))])
    async with ServiceGateway(first_at(one)) as gw:
        client = await gw.client(receive_buffer=65536)
        await client.request("GET", "/s")
        request = await one.request(0)
        await _stands_still(lambda: request.connection.sent)
        assert request.connection.sent < UNDER_WAY
        assert (await client.read_head()).header("content-length") == str(LARGE)
        taken = 0
        while piece := await client.read_some():
            taken += len(piece)
            client.received.clear()
        assert taken == LARGE
        assert (await gw.done()).bytes_out == LARGE


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_upload_waits_for_its_service(one: Upstream, chunked: bool) -> None:
    go_on = asyncio.Event()
    one.on_head(lambda request: [PauseReading(), Wait(go_on), ResumeReading()])
    async with ServiceGateway(first_at(one)) as gw:
        client = await gw.client()
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(LARGE))
        await client.request("POST", "/s", headers=[framing])
        digest, sent = hashlib.sha256(), 0

        async def upload() -> None:
            nonlocal sent
            for number in range(100):
                piece = bytes([number]) * MB
                digest.update(piece)
                await client.send(b"%x\r\n%b\r\n" % (MB, piece) if chunked else piece)
                sent += MB
            if chunked:
                await client.send(b"0\r\n\r\n")

        uploading = asyncio.ensure_future(upload())
        request = await one.head(0)
        await _stands_still(lambda: sent)
        assert sent < UNDER_WAY
        go_on.set()
        await within(uploading, "the upload")
        await within(request.complete.wait(), "the whole body")
        assert hashlib.sha256(request.body).digest() == digest.digest()
        assert gw.app.serving is not None
        client.close()
        assert (await gw.done()).bytes_in == LARGE


async def _received(client: RawClient) -> None:
    """Read to the end of the connection. Raises ConnectionResetError if it was reset."""
    loop = asyncio.get_running_loop()
    while await within(loop.sock_recv(client._socket, 1000), "the end of the connection"):
        pass


async def _stands_still(progress: Any) -> None:
    """Wait until ``progress`` has not changed for a fifth of a second."""
    loop = asyncio.get_running_loop()
    last, since = progress(), loop.time()
    while loop.time() < since + 0.2:
        await asyncio.sleep(0.01)
        if progress() != last:
            last, since = progress(), loop.time()
