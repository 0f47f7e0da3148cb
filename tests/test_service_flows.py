"""Requests to services over real sockets: what passes, in both directions."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import Chunk, Headers, LastChunk, Send, Upstream, Wait, until, within
from tests.support.ports import free_port
from tests.support.service_gateway import ServiceGateway, plain, to_services


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: plain(b"hello"))
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[ServiceGateway]:
    async with ServiceGateway(to_services(up)) as gw:
        yield gw


# -- the request -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "SUBSCRIBE"])
async def test_any_method_passes(up: Upstream, gw: ServiceGateway, method: str) -> None:
    client = await gw.client()
    answer = await client.fetch(method, "/s/x%20y;z?a=b&c=%2F&d")
    assert (answer.status, answer.body) == (200, b"hello")
    request = await up.request(0)
    assert (request.method, request.target) == (method, "/s/x%20y;z?a=b&c=%2F&d")
    expects_body = method not in ("GET", "DELETE", "OPTIONS")
    assert request.header("content-length") == ("0" if expects_body else None)


async def test_the_service_learns_of_the_client(up: Upstream, gw: ServiceGateway) -> None:
    client = await gw.client()
    await client.fetch(
        "GET",
        "/s",
        headers=[
            *(("Host", "localhost:81"), ("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")),
            *(("Via", "1.1 before"), ("Accept", "a/b"), ("Cookie", "sluice_admin=x; a=b"), ("X-Request-Id", "mine")),
            *(("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("Authorization", "Basic eA==")),
        ],
    )
    request = await up.request(0)
    pseudonym = gw.app._pseudonym
    assert request.headers == [
        ("Host", f"127.0.0.1:{up.port}"),
        ("Via", "1.1 before"),
        ("Accept", "a/b"),
        ("Cookie", "a=b"),
        ("Authorization", "Basic eA=="),
        ("Via", f"1.1 {pseudonym}"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "localhost:81"),
        ("X-Forwarded-Port", "81"),
        ("Forwarded", 'for=127.0.0.1;host="localhost:81";proto=http'),
        ("x-request-id", "mine"),
    ]


async def test_a_trusted_proxy_is_appended_to_what_it_says(up: Upstream) -> None:
    async with ServiceGateway(to_services(up, server={"trustedProxies": ["127.0.0.1"]})) as gw:
        client = await gw.client()
        headers = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-User", "u")]
        await client.fetch("GET", "/s", headers=headers)
        request = await up.request(0)
        assert request.header("x-forwarded-for") == "192.0.2.1, 127.0.0.1"
        assert request.header("x-forwarded-proto") == "https"
        assert request.header("x-forwarded-user") == "u"
        assert (request.header("forwarded") or "").startswith("for=192.0.2.1, for=127.0.0.1;host=")


async def test_the_path_follows_that_of_the_address_and_may_be_rewritten(up: Upstream) -> None:
    config = to_services(up, service={"addresses": [f"{up.origin}/base"]})
    config["routes"] = [
        {"id": "a", "path": "/s", "service": "s", "public": True},
        {"id": "b", "path": "/t", "service": "s", "public": True, "strip": True},
        {"id": "c", "pattern": "/u/{id}", "service": "s", "public": True, "rewrite": "/users/{id}/x"},
    ]
    async with ServiceGateway(config) as gw:
        client = await gw.client()
        for path in ("/s/x", "/t/x?y", "/t", "/u/7"):
            await client.fetch("GET", path)
        assert [each.target for each in up.requests] == ["/base/s/x", "/base/x?y", "/base/", "/base/users/7/x"]


async def test_rules_of_the_route_change_lines_in_both_directions(up: Upstream) -> None:
    rules = {"remove": ["X-A"], "set": {"X-B": "new"}, "add": {"X-C": "2"}}
    answers = {"remove": ["Server"], "add": {"X-D": "3"}}
    up.on(lambda request: plain(b"", ("Server", "s"), ("X-E", "4")))
    route = {"requestHeaders": rules, "responseHeaders": answers}
    async with ServiceGateway(to_services(up, route=route)) as gw:
        client = await gw.client()
        answer = await client.fetch("GET", "/s", headers=[("x-a", "1"), ("X-B", "old"), ("X-C", "1")])
        request = await up.request(0)
        assert request.header("x-a") is None
        assert request.header("x-b") == "new"
        assert request.header_values("x-c") == ["1", "2"]
        assert (answer.header("server"), answer.header("x-d"), answer.header("x-e")) == (None, "3", "4")


async def test_a_request_comes_back_to_the_gateway_once() -> None:
    port = free_port()
    config = {
        "server": {"port": port},
        "services": {"s": {"addresses": [f"http://127.0.0.1:{port}"]}},
        "routes": [{"id": "r", "path": "/s", "service": "s", "public": True}],
    }
    async with ServiceGateway(config) as gw:
        client = await gw.client()
        answer = await client.fetch("GET", "/s/x")
        assert (answer.status, answer.json["error"]["code"]) == (508, "gateway_loop")
        inner, outer = await gw.done(1), await gw.done(2)
        assert (inner.error, inner.attempts) == ("gateway_loop", [])
        assert (outer.error, outer.status, len(outer.attempts)) == ("", 508, 1)


async def test_two_gateways_in_a_row_pass_and_a_loop_of_two_does_not(up: Upstream) -> None:
    one, two = free_port(), free_port()

    def leading_to(own: int, origin: str) -> dict[str, object]:
        routes = [{"id": "r", "path": "/s", "service": "s", "public": True}]
        return {"server": {"port": own}, "services": {"s": {"addresses": [origin]}}, "routes": routes}

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(ServiceGateway(leading_to(one, f"http://127.0.0.1:{two}")))
        second = await stack.enter_async_context(ServiceGateway(leading_to(two, up.origin)))
        client = await first.client()
        assert (await client.fetch("GET", "/s")).body == b"hello"
        via = (await up.request(0)).header_values("via")
        assert via == [f"1.1 {first.app._pseudonym}", f"1.1 {second.app._pseudonym}"]
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(ServiceGateway(leading_to(one, f"http://127.0.0.1:{two}")))
        second = await stack.enter_async_context(ServiceGateway(leading_to(two, f"http://127.0.0.1:{one}")))
        client = await first.client()
        assert (await client.fetch("GET", "/s")).status == 508
        await first.done(2)
        assert (len(first.served), len(second.served)) == (2, 1)


# -- the answer ------------------------------------------------------------------------------------


async def test_an_answer_passes_unchanged(up: Upstream, gw: ServiceGateway) -> None:
    body = gzip.compress(b"hello")
    lines = [
        *(("Content-Encoding", "gzip"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), ("ETag", '"x"')),
        *(("Location", "http://elsewhere/"), ("Content-Security-Policy", "x"), ("X-Accel-Redirect", "/y")),
    ]
    up.on(lambda request: plain(body, *lines, ("Keep-Alive", "x"), ("Connection", "X-Hop"), ("X-Hop", "1"), status=302))
    client = await gw.client()
    answer = await client.fetch("GET", "/s")
    assert (answer.status, answer.body) == (302, body)
    found = [each for each in answer.head.headers if each[0] not in ("via", "x-request-id", "content-length")]
    assert found == [("content-type", "text/plain"), *((name.lower(), value) for name, value in lines)]
    assert answer.header("via") == f"1.1 {gw.app._pseudonym}"


async def test_ranges_head_and_304_pass(up: Upstream, gw: ServiceGateway) -> None:
    client = await gw.client()
    up.on(lambda request: plain(b"el", ("Content-Range", "bytes 1-2/5"), status=206))
    answer = await client.fetch("GET", "/s", headers=[("Range", "bytes=1-2"), ("If-Range", '"x"')])
    assert (answer.status, answer.body, answer.header("content-range")) == (206, b"el", "bytes 1-2/5")
    assert ((await up.request(0)).header("range"), up.requests[0].header("if-range")) == ("bytes=1-2", '"x"')
    up.on(lambda request: [Headers(200, [("Content-Length", "5")])])
    answer = await client.fetch("HEAD", "/s")
    assert (answer.status, answer.header("content-length")) == (200, "5")
    up.on(lambda request: [Headers(304, [("ETag", '"x"')])])
    answer = await client.fetch("GET", "/s", headers=[("If-None-Match", '"x"')])
    assert (answer.status, answer.header("etag")) == (304, '"x"')
    up.on(lambda request: [Headers(204)])
    assert (await client.fetch("DELETE", "/s")).status == 204
    assert len(up.connections) == 1


async def test_a_stream_passes_as_it_comes(up: Upstream, gw: ServiceGateway) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    head = Headers(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
    up.on(lambda request: [head, Wait(first), Chunk(b"data: 1\n\n"), Wait(second), Chunk(b"data: 2\n\n"), LastChunk()])
    client = await gw.client()
    await client.request("GET", "/s")
    assert (await client.read_head()).status == 200
    first.set()
    assert await client.read_chunk() == b"data: 1\n\n"
    second.set()
    assert await client.read_chunk() == b"data: 2\n\n"
    assert await client.read_chunk() == b""
    assert (await client.fetch("HEAD", "/s")).status == 200


async def test_early_hints_and_trailers_pass(up: Upstream, gw: ServiceGateway) -> None:
    hints = Headers(103, [("Link", "</a>")])
    head = Headers(200, [("Transfer-Encoding", "chunked"), ("Trailer", "Digest")])
    up.on(lambda request: [hints, head, Chunk(b"abc"), LastChunk(b"Digest: x\r\n")])
    client = await gw.client()
    await client.request("GET", "/s", headers=[("TE", "trailers"), ("Connection", "TE")])
    assert ((await client.read_head()).status, (await client.read_head()).header("trailer")) == (103, "Digest")
    await until(lambda: len(gw.served), "the end of the answer")
    rest = b""
    while not rest.endswith(b"\r\n\r\n"):
        rest += await client._take_until(b"\r\n", "the rest of the answer")
    assert rest == b"3\r\nabc\r\n0\r\nDigest: x\r\n\r\n"
    assert ((await up.request(0)).header("te"), up.requests[0].header("connection")) == ("trailers", "TE")


async def test_a_client_of_http10_gets_an_answer_that_it_understands(up: Upstream, gw: ServiceGateway) -> None:
    client = await gw.client()
    await client.send(b"GET /s HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert (await client.eof()).endswith(b"Content-Length: 5\r\nConnection: close\r\n\r\nhello")
    up.on(lambda request: [Headers(200, [("Transfer-Encoding", "chunked")]), Chunk(b"abc"), Chunk(b"d"), LastChunk()])
    client = await gw.client()
    await client.send(b"GET /s HTTP/1.0\r\n\r\n")
    answer = await client.eof()
    assert answer.endswith(b"\r\nConnection: close\r\n\r\nabcd")
    assert b"chunked" not in answer
    assert (await up.request(1)).header("via") == f"1.0 {gw.app._pseudonym}"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_bytes_of_any_answer_arrive(data: st.DataObject) -> None:
    body = data.draw(st.binary(max_size=300))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(body) - 1)), max_size=5))) if len(body) > 1 else []
    parts = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    chunked = data.draw(st.booleans())

    async def compare() -> None:
        async with Upstream() as up, ServiceGateway(to_services(up)) as gw:
            framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
            pieces = [Chunk(each) if chunked else Send(each) for each in parts if each]
            up.on(lambda request: [Headers(200, [framing]), *pieces, *([LastChunk()] if chunked else [])])
            client = await gw.client()
            assert (await client.fetch("GET", "/s")).body == body

    asyncio.run(compare())


# -- stickiness ------------------------------------------------------------------------------------


async def test_a_cookie_keeps_a_client_at_one_address() -> None:
    async with Upstream() as one, Upstream() as two:
        for up in (one, two):
            up.on(lambda request: plain(request.connection.upstream.origin.encode()))
        async with ServiceGateway(to_services(one, two, service={"sticky": {"cookie": "at"}})) as gw:
            client = await gw.client()
            seen = set()
            for _ in range(20):
                answer = await client.fetch("GET", "/s")
                cookie = (answer.header("set-cookie") or "").partition(";")[0]
                seen.add(answer.body)
                again = await client.fetch("GET", "/s", headers=[("Cookie", f"x=y; {cookie}")])
                assert (again.body, again.header("set-cookie")) == (answer.body, None)
            assert len(seen) == 2


# -- bodies ----------------------------------------------------------------------------------------


async def test_a_body_that_waits_for_a_word_is_asked_for_once_there_is_a_connection(up: Upstream) -> None:
    async with ServiceGateway(to_services(up)) as gw:
        client = await gw.client()
        head = [("Expect", "100-continue"), ("Content-Length", "5")]
        await client.request("POST", "/s", headers=head)
        assert (await client.read_head()).status == 100
        await client.send(b"hello")
        client._methods.append("POST")
        assert (await client.read_answer()).status == 200
        request = await up.request(0)
        assert (bytes(request.body), request.header("expect")) == (b"hello", None)


async def test_a_service_may_answer_before_the_body_has_come(up: Upstream, gw: ServiceGateway) -> None:
    up.on_head(lambda request: plain(b"no", status=413) if request.method == "PUT" else None)
    client = await gw.client()
    await client.request("PUT", "/s", headers=[("Content-Length", "1000000")])
    await client.send(b"x" * 1000)
    answer = await client.read_answer()
    assert (answer.status, answer.body) == (413, b"no")
    exchange = await gw.done()
    assert (exchange.outcome, exchange.status) == ("ok", 413)


async def test_the_connection_goes_on_after_an_answer_that_came_before_the_body(
    up: Upstream, gw: ServiceGateway
) -> None:
    """The relay still reads the body when it is no longer wanted: one reader has to leave for the other."""
    up.on_head(lambda request: plain(b"no", status=413) if request.method == "PUT" else None)
    client = await gw.client()
    await client.request("PUT", "/s", headers=[("Content-Length", "2000")])
    await client.send(b"x" * 1000)
    request = await up.head(0)
    await until(lambda: len(request.body) == 1000, "the first half")
    assert (await client.read_answer()).status == 413
    await gw.done()
    await client.send(b"x" * 1000)
    assert (await client.fetch("GET", "/s")).body == b"hello"


async def test_both_directions_may_run_at_the_same_time(up: Upstream, gw: ServiceGateway) -> None:
    read = asyncio.Event()
    head = Headers(200, [("Transfer-Encoding", "chunked")])
    up.on_head(lambda request: [head, Chunk(b"a"), Wait(read), Chunk(b"b"), LastChunk()])
    client = await gw.client()
    await client.request("POST", "/s", headers=[("Transfer-Encoding", "chunked")])
    await client.send(b"3\r\nabc\r\n")
    assert (await client.read_head()).status == 200
    assert await client.read_chunk() == b"a"
    request = await up.head(0)
    await until(lambda: bytes(request.body) == b"abc", "the first chunk")
    await client.send(b"3\r\ndef\r\n0\r\n\r\n")
    await within(request.complete.wait(), "the end of the body")
    read.set()
    assert await client.read_chunk() == b"b"
    assert await client.read_chunk() == b""
    assert bytes(request.body) == b"abcdef"


async def test_a_chunked_body_that_came_whole_gets_a_length(up: Upstream, gw: ServiceGateway) -> None:
    client = await gw.client()
    await client.send(
        b"POST /s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\n"
    )
    client._methods.append("POST")
    assert (await client.read_answer()).status == 200
    request = await up.request(0)
    assert (request.header("content-length"), request.header("a"), bytes(request.body)) == ("2", None, b"ab")


async def test_a_body_beyond_the_bound_of_the_route_is_refused(up: Upstream) -> None:
    async with ServiceGateway(to_services(up, route={"maxBodyMb": 0.001})) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", "/s", body=b"x" * 2000)
        assert (answer.status, answer.json["error"]["code"]) == (413, "request_too_large")
        assert up.requests == []
        client = await gw.client()
        await client.request("POST", "/s", headers=[("Transfer-Encoding", "chunked")])
        await client.send(b"400\r\n%b\r\n400\r\n%b\r\n" % (b"x" * 1024, b"x" * 1024))
        assert (await client.read_answer()).status == 413
        exchange = await gw.done(2)
        assert (exchange.error, gw.address(up).failures) == ("request_too_large", 0)


async def test_a_malformed_body_is_the_clients_fault(up: Upstream, gw: ServiceGateway) -> None:
    client = await gw.client()
    await client.request("POST", "/s", headers=[("Transfer-Encoding", "chunked")])
    await client.send(b"3\r\nabc\r\n")
    await up.head(0)
    await client.send(b"x\r\n")
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (400, "malformed_request")
    await within(up.requests[0].gone.wait(), "the end of the connection to the service")
    assert gw.address(up).failures == 0
