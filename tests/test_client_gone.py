"""Client disconnects in every phase: the upstream request is canceled at once and the disconnect logged."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from proxy.relay import upstream_call
from proxy.server import departure
from tests.support import (
    Blackhole,
    Chunk,
    Close,
    Headers,
    LastChunk,
    PauseReading,
    RawClient,
    Signal,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    json_answer,
    sse,
    sse_answer,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS, USAGE
from tests.support.gateway import Gateway, one_provider
from tests.support.steps import Step
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": []}
STREAM = CALL | {"stream": True}
JSON_HEAD = Headers(200, [("Content-Type", "application/json"), ("Content-Length", "999")])
EVENTS = chat_events("Hello", " world", usage=USAGE)
ROLE, HELLO = EVENTS[0], EVENTS[1]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the periodic check of paused sockets, so that only prompt detection passes."""
    monkeypatch.setattr(departure, "INTERVAL", 3600.0)


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up, provider={"passthrough": ["GET /files", "POST /files"]})) as gw:
        yield gw
        assert running(gw) == 0
        assert gw.app.gateway is not None
        assert gw.app.gateway._context.budget.used == 0


def running(gw: Gateway) -> int:
    return gw.app.metrics.in_flight


WAYS: dict[str, Callable[[RawClient], None]] = {
    "close": RawClient.close,
    "half close": RawClient.half_close,
    "reset": RawClient.reset,
}


@pytest.fixture(params=WAYS)
def leave(request: pytest.FixtureRequest) -> Callable[[RawClient], None]:
    return WAYS[request.param]


async def assert_left(gw: Gateway, request: Request | None, *, attempts: int = 1) -> dict[str, Any]:
    """The exchange ended as it should; its log line."""
    line = await gw.settled()
    assert (line["outcome"], line["attempts"]) == ("client_gone", attempts)
    assert line["client"] == "127.0.0.1"
    if request is not None:
        await within(request.gone.wait(), "the connection to the provider to be closed")
    assert len(gw.exchanges) == 1
    return line


def connections(gw: Gateway) -> list[Any]:
    """The clients' connections, as the gateway has them."""
    return list(gw.app.listeners.api.server.connections)


async def noticed(gw: Gateway) -> None:
    """Wait until the gateway has noticed the disconnect of its only client."""
    await until(lambda: all(each.transport is None for each in connections(gw)), "the client to be gone")


# -- before the provider has the request ----------------------------------------------------------


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_disconnect_while_the_body_is_read(framing: bytes, leave: Any, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n" + framing + b"\r\n\r\n5\r\n")
    await until(lambda: running(gw), "the request to be begun")
    leave(client)
    line = await assert_left(gw, None, attempts=0)
    assert line["status"] == 0
    assert up.connections == []


async def test_disconnect_in_the_same_read_as_a_chunk(up: Upstream, gw: Gateway) -> None:
    """The end of a chunk wakes the reader; the disconnect must not get lost in between."""
    client = await gw.client()
    await client.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello"
    )
    await until(lambda: running(gw), "the request to be begun")
    [connection] = connections(gw)
    connection.data_received(b"\r\n1")  # both in one turn of the loop
    connection.connection_lost(None)
    await assert_left(gw, None, attempts=0)


async def test_disconnect_while_a_form_is_searched_for_its_model(leave: Any, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nsound'
    )
    await until(lambda: running(gw), "the request to be begun")
    leave(client)
    await assert_left(gw, None, attempts=0)
    assert up.connections == []


async def test_disconnect_while_connecting_to_the_provider(leave: Any, up: Upstream) -> None:
    with Blackhole() as hole:
        async with Gateway(one_provider(up, provider={"baseUrl": hole.url})) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=STREAM)
            await until(lambda: len(gw.app.upstream.pool), "the connection to be begun")
            leave(client)
            await assert_left(gw, None)
            await until(lambda: not len(gw.app.upstream.pool), "the attempt to connect to end")


async def test_disconnect_during_the_tls_handshake(leave: Any, up: Upstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, but no TLS handshake follows
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"
        async with Gateway(one_provider(up, provider={"baseUrl": url})) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL)
            await until(lambda: len(gw.app.upstream.pool), "the connection to be begun")
            leave(client)
            await assert_left(gw, None)


async def test_disconnect_while_queued_for_a_connection(leave: Any, up: Upstream) -> None:
    hold = asyncio.Event()
    up.on(lambda request: [Wait(hold), *json_answer(completion())])
    async with Gateway(one_provider(up, pool={"maxConnections": 1})) as gw:
        first, waiting, next_one = [await gw.client() for _ in range(3)]
        await first.request("POST", CHAT, json=CALL)
        await up.request()
        await waiting.request("POST", CHAT, json=STREAM)
        await until(lambda: running(gw) == 2, "the second request to be begun")
        await next_one.request("POST", CHAT, json=CALL)
        await until(lambda: running(gw) == 3, "the third request to be begun")
        leave(waiting)
        assert (await gw.settled())["outcome"] == "client_gone"
        hold.set()
        assert (await first.read_answer()).status == 200
        assert (await next_one.read_answer()).status == 200
        assert len(up.requests) == 2, "the request of a client that had left was sent"


async def test_disconnect_while_a_hook_runs(leave: Any, up: Upstream, gw: Gateway) -> None:
    thinking, done = asyncio.Event(), asyncio.Event()

    async def hook(exchange: Any, call: Any) -> Any:
        thinking.set()
        await done.wait()
        return call

    assert gw.app.gateway is not None
    gw.app.gateway._on_request = hook
    client = await gw.client()
    await client.request("POST", CHAT, json=CALL)
    await within(thinking.wait(), "the hook to be called")
    leave(client)
    await noticed(gw)
    done.set()
    assert (await gw.settled())["outcome"] == "client_gone"
    assert up.requests == [], "a request of a client that had left was sent"


# -- while the provider works on it ---------------------------------------------------------------

PHASES: dict[str, tuple[list[Step | bytes], bool, int]] = {
    # what the provider has said; whether the client has a head then, and how many events of it
    "before the head": ([], False, 0),
    "within the head": ([b"HTTP/1.1 200 OK\r\nContent-Ty"], False, 0),
    "before the content": ([Headers(200, SSE_HEADERS), Chunk(ROLE)], False, 0),
    "among comments": ([Headers(200, SSE_HEADERS), Chunk(b": thinking\n\n")], False, 0),
    "within the first event": ([Headers(200, SSE_HEADERS), Chunk(HELLO[:20])], False, 0),
    "within the stream": ([Headers(200, SSE_HEADERS), Chunk(ROLE + HELLO)], True, 2),
    "within an event": ([Headers(200, SSE_HEADERS), Chunk(ROLE + HELLO), Chunk(EVENTS[2][:20])], True, 2),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_disconnect_during_a_stream(phase: str, leave: Any, up: Upstream, gw: Gateway) -> None:
    said, begun, events = PHASES[phase]
    come = asyncio.Event()
    up.on(lambda request: [*said, Signal(come), Stall()])
    client = await gw.client()
    await client.request("POST", CHAT, json=STREAM)
    request = await up.request()
    await within(come.wait(), "the provider to come that far")
    if begun:
        assert (await client.read_head()).status == 200
        for _ in range(events):
            await client.read_event()
    leave(client)
    line = await assert_left(gw, request)
    assert line["status"] == (200 if begun else 0)


@pytest.mark.parametrize(
    "said",
    [[], [JSON_HEAD], [JSON_HEAD, b'{"id":']],
    ids=["before the head", "after the head", "within the answer"],
)
@pytest.mark.parametrize("target", [CHAT, "/v1/embeddings", "/v1/responses", "/proxy/up/chat/completions"])
async def test_disconnect_during_a_json_response(
    target: str, said: list[Any], leave: Any, up: Upstream, gw: Gateway
) -> None:
    come = asyncio.Event()
    up.on(lambda request: [*said, Signal(come), Stall()])
    client = await gw.client()
    await client.request("POST", target, json=CALL)
    request = await up.request()
    await within(come.wait(), "the provider to come that far")
    leave(client)
    line = await assert_left(gw, request)
    assert line["status"] == 0


async def test_disconnect_while_pings_are_sent(leave: Any, up: Upstream) -> None:
    up.on(lambda request: [Stall()])
    async with Gateway(one_provider(up, server={"pingAfter": 0.05})) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        request = await up.request()
        assert (await client.read_head()).status == 200
        assert await client.read_event() == b": ping\n\n"
        leave(client)
        line = await assert_left(gw, request)
        assert line["status"] == 200


async def test_disconnect_during_the_retry_delay(leave: Any, up: Upstream, gw: Gateway) -> None:
    """The second attempt omits the rejected option; the client disconnects within it."""
    complaint = {"error": {"message": "unknown field stream_options", "type": "invalid_request_error"}}
    up.queue(json_answer(complaint, 400), [Stall()])
    client = await gw.client()
    await client.request("POST", CHAT, json=STREAM)
    await up.request()
    second = await up.request()
    leave(client)
    await assert_left(gw, second, attempts=2)


PIPED = Headers(200, [("Content-Type", "audio/mpeg"), ("Transfer-Encoding", "chunked")])


@pytest.mark.parametrize("said", [[], [PIPED], [PIPED, Chunk(b"sound")]], ids=["before", "after the head", "within"])
@pytest.mark.parametrize(("method", "target"), [("POST", "/v1/audio/speech"), ("GET", "/proxy/up/files/a/content")])
async def test_disconnect_during_a_binary_response(
    method: str, target: str, said: list[Any], leave: Any, up: Upstream, gw: Gateway
) -> None:
    come = asyncio.Event()
    up.on(lambda request: [*said, Signal(come), Stall()])
    client = await gw.client()
    await client.request(method, target, json=CALL if method == "POST" else None)
    request = await up.request()
    await within(come.wait(), "the provider to come that far")
    if len(said) == 2:
        await client.read_head()
        assert await client.read_chunk() == b"sound"
    leave(client)
    await assert_left(gw, request)


async def test_disconnect_while_the_write_buffer_is_full(leave: Any, up: Upstream, gw: Gateway) -> None:
    """Buffered bytes are not awaited: a half-close counts as a disconnect."""
    big = sse(
        {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "x" * 100_000}}]}
    )
    up.on(lambda request: [Headers(200, SSE_HEADERS), *[Chunk(big)] * 200, Stall()])
    client = await gw.client(receive_buffer=4096)
    await client.request("POST", CHAT, json=STREAM)
    request = await up.request()
    await client.read_head()
    [connection] = connections(gw)
    await until(lambda: connection.writing_paused, "the client's socket to be full")
    leave(client)
    await assert_left(gw, request)


# -- right after the end --------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [[], [LastChunk()]], ids=["open", "ended"])
async def test_disconnect_right_after_done_is_a_success(rest: list[Any], leave: Any, up: Upstream, gw: Gateway) -> None:
    go_on = asyncio.Event()
    up.on(lambda request: [Headers(200, SSE_HEADERS), *(Chunk(event) for event in EVENTS), Wait(go_on), *rest, Stall()])
    client = await gw.client()
    await client.request("POST", CHAT, json=STREAM | {"stream_options": {"include_usage": True}})
    request = await up.request()
    await client.read_head()
    assert [await client.read_event() for _ in EVENTS] == EVENTS
    leave(client)
    line = await gw.settled()
    assert (line["outcome"], line["status"], line["error"]) == ("ok", 200, "")
    assert line["tokens"]["output"] == 2
    go_on.set()
    if not rest:
        await within(request.gone.wait(), "the connection to the provider to be closed")
    gw.app.observers.flush()
    assert gw.app.metrics.client_disconnects == 0


async def test_disconnect_right_after_response_completed_is_a_success(leave: Any, up: Upstream, gw: Gateway) -> None:
    created = (
        b'event: response.created\ndata: {"type":"response.created","response":{"id":"r","status":"in_progress"}}\n\n'
    )
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
    completed = (
        b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","status":"completed",'
        b'"usage":{"input_tokens":3,"output_tokens":1,"total_tokens":4}}}\n\n'
    )
    up.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(created), Chunk(delta), Chunk(completed), Stall()])
    client = await gw.client()
    await client.request("POST", "/v1/responses", json={"model": "m", "input": "Hi", "stream": True})
    request = await up.request()
    await client.read_head()
    assert [await client.read_event() for _ in range(3)] == [created, delta, completed]
    leave(client)
    line = await gw.settled()
    assert (line["outcome"], line["tokens"]["output"]) == ("ok", 1)
    await within(request.gone.wait(), "the connection to the provider to be closed")


async def test_disconnect_between_requests_is_not_counted(leave: Any, up: Upstream, gw: Gateway) -> None:
    up.on(lambda request: json_answer(completion()))
    client = await gw.client()
    assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
    leave(client)
    assert (await gw.settled())["outcome"] == "ok"
    assert len(gw.exchanges) == 1


async def test_a_pipelined_request_of_a_disconnected_client_is_not_sent(leave: Any, up: Upstream, gw: Gateway) -> None:
    up.on(lambda request: [Stall()])
    client = await gw.client()
    raw = client.encode("POST", CHAT, value=CALL)
    await client.send(raw + raw)
    request = await up.request()
    leave(client)
    await assert_left(gw, request)
    assert len(up.requests) == 1


async def test_a_disconnect_is_counted(up: Upstream, gw: Gateway) -> None:
    up.on(lambda request: [Stall()])
    client = await gw.client()
    await client.request("POST", CHAT, json=CALL)
    await up.request()
    client.close()
    await gw.settled()
    page = await (await gw.client()).fetch("GET", "/metrics")
    assert b"llm_client_disconnects_total 1" in page.body


# -- while an upload goes through -----------------------------------------------------------------

UPLOAD = b"POST /proxy/up/files HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_disconnect_during_an_upload(framing: bytes, leave: Any, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(UPLOAD + framing + b"\r\n\r\n5\r\nhello")
    request = await up.head()
    await until(lambda: request.body, "the first bytes")
    leave(client)
    await assert_left(gw, request)
    assert not request.complete.is_set()


async def fill(client: RawClient, gw: Gateway) -> None:
    """Send until the gateway stops reading; the disconnect arrives after these bytes."""
    [connection] = connections(gw)
    pauses = 0
    while pauses < 50:
        if connection._reading_paused:
            pauses += 1
            await asyncio.sleep(0.001)
        else:
            pauses = 0
            await client.send(b"x" * 16384)
            await asyncio.sleep(0)


@pytest.mark.parametrize("on_disconnect", ["cancel", "drain"])
async def test_disconnect_during_a_paused_upload_is_noticed_within_five_seconds(
    on_disconnect: str, leave: Any, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is not read then. A response to half an upload is not drained."""
    monkeypatch.undo()
    assert departure.INTERVAL < 5
    monkeypatch.setattr(departure, "INTERVAL", 0.1)
    up.on_head(lambda request: [PauseReading(), Stall()])
    config = one_provider(up, provider={"passthrough": ["POST /files"], "onDisconnect": on_disconnect})
    async with Gateway(config) as gw:
        client = await gw.client()
        await client.send(UPLOAD + b"Content-Length: 50000000\r\n\r\n")
        await up.head()
        await fill(client, gw)
        leave(client)
        await assert_left(gw, None)
        await until(lambda: not len(gw.app.upstream.pool), "the provider to be left")


async def test_disconnect_during_a_paused_pipelined_upload_is_noticed(
    leave: Any, up: Upstream, gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next request fills our buffers while the provider still works on this one."""
    monkeypatch.setattr(departure, "INTERVAL", 0.1)
    up.on(lambda request: [Stall()])
    client = await gw.client()
    await client.request("POST", CHAT, json=CALL)
    request = await up.request()
    await client.send(UPLOAD + b"Content-Length: 50000000\r\n\r\n")
    await fill(client, gw)
    leave(client)
    await assert_left(gw, request)


async def test_a_disconnect_before_the_usage_of_a_whole_answer(leave: Any, up: Upstream, gw: Gateway) -> None:
    """The answer is whole for both sides, so its cost is as the provider reports it."""
    go_on = asyncio.Event()
    whole, rest = EVENTS[:-2], EVENTS[-2:]
    script: list[Step] = [Headers(200, SSE_HEADERS), *map(Chunk, whole), Wait(go_on), *map(Chunk, rest), LastChunk()]
    up.on(lambda request: script)
    client = await gw.client()
    await client.request("POST", CHAT, json=STREAM)
    await client.read_head()
    while b'"stop"' not in await client.read_event():
        pass
    leave(client)
    await noticed(gw)
    go_on.set()
    line = await gw.settled()
    assert line["outcome"] == "ok"
    assert line["tokens"]["output"] == USAGE["completion_tokens"]


# -- onDisconnect: drain --------------------------------------------------------------------------


@pytest.fixture
async def draining(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up, provider={"onDisconnect": "drain", "passthrough": ["POST /files"]})) as gw:
        yield gw
        assert running(gw) == 0


async def assert_drained(gw: Gateway, request: Request, *, output: int | None = 2) -> None:
    line = await gw.settled()
    assert line["outcome"] == "client_gone"
    if output is None:
        assert line["tokens"] is None
    else:
        assert line["tokens"]["output"] == output
    assert not request.gone.is_set(), "the connection to the provider was not kept"


@pytest.mark.parametrize("requested", [True, False])
@pytest.mark.parametrize("before", [0, 1, 2])
async def test_a_stream_is_drained_for_its_usage(
    before: int, requested: bool, leave: Any, up: Upstream, draining: Gateway
) -> None:
    """Before the head, before the content and within it, with usage requested by the client or the gateway."""
    go_on = asyncio.Event()
    script: list[Step] = [Headers(200, SSE_HEADERS), Chunk(ROLE), Chunk(HELLO)][: (0, 2, 3)[before]]
    rest: list[Step] = [Headers(200, SSE_HEADERS), Chunk(ROLE), Chunk(HELLO)][(0, 2, 3)[before] :]
    come = asyncio.Event()
    up.on(
        lambda request: [
            *script,
            Signal(come),
            Wait(go_on),
            *rest,
            *(Chunk(event) for event in EVENTS[2:]),
            LastChunk(),
        ]
    )
    client = await draining.client()
    options = {"stream_options": {"include_usage": True}} if requested else {}
    await client.request("POST", CHAT, json=STREAM | options)
    request = await up.request()
    await within(come.wait(), "the provider to come that far")
    if before == 2:
        await client.read_head()
        await client.read_event()
    leave(client)
    await noticed(draining)
    assert running(draining) == 1
    go_on.set()
    await assert_drained(draining, request)


@pytest.mark.parametrize("said", [0, 1, 2], ids=["before the head", "after the head", "within the answer"])
async def test_a_json_response_is_drained_for_its_usage(said: int, leave: Any, up: Upstream, draining: Gateway) -> None:
    head, body = json_answer(completion())
    pieces = [head, body.data[:9], body.data[9:]]  # type: ignore[union-attr]
    come, go_on = asyncio.Event(), asyncio.Event()
    up.on(lambda request: [*pieces[:said], Signal(come), Wait(go_on), *pieces[said:]])
    client = await draining.client()
    await client.request("POST", CHAT, json=CALL)
    request = await up.request()
    await within(come.wait(), "the provider to come that far")
    leave(client)
    await noticed(draining)
    go_on.set()
    await assert_drained(draining, request)


async def test_a_stream_paused_by_its_client_is_drained(leave: Any, up: Upstream, draining: Gateway) -> None:
    big = sse(
        {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "x" * 100_000}}]}
    )
    up.on(lambda request: [Headers(200, SSE_HEADERS), *[Chunk(big)] * 200, *map(Chunk, EVENTS[3:]), LastChunk()])
    client = await draining.client(receive_buffer=4096)
    await client.request("POST", CHAT, json=STREAM)
    request = await up.request()
    await client.read_head()
    [connection] = connections(draining)
    await until(lambda: connection.writing_paused, "the client's socket to be full")
    leave(client)
    await assert_drained(draining, request)


async def test_a_drained_connection_is_reused(up: Upstream, draining: Gateway) -> None:
    go_on = asyncio.Event()
    up.queue([Wait(go_on), *sse_answer(*EVENTS)], json_answer(completion()))
    client = await draining.client()
    await client.request("POST", CHAT, json=STREAM)
    request = await up.request()
    client.close()
    await noticed(draining)
    go_on.set()
    await assert_drained(draining, request)
    assert (await (await draining.client()).fetch("POST", CHAT, json=CALL)).status == 200
    assert len(up.connections) == 1


async def test_draining_is_bounded(up: Upstream, draining: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_call, "DRAIN_SECS", 0.1)
    up.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(ROLE), Chunk(HELLO), Stall()])
    client = await draining.client()
    await client.request("POST", CHAT, json=STREAM)
    request = await up.request()
    await client.read_head()
    client.close()
    await assert_left(draining, request)


@pytest.mark.parametrize("end", [b"garbage", b""], ids=["broken", "cut"])
async def test_a_failure_while_draining_is_still_a_client_disconnect(
    end: bytes, up: Upstream, draining: Gateway
) -> None:
    go_on = asyncio.Event()
    up.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(ROLE), Chunk(HELLO), Wait(go_on), end, Close()])
    client = await draining.client()
    await client.request("POST", CHAT, json=STREAM)
    request = await up.request()
    await client.read_head()
    client.close()
    await noticed(draining)
    go_on.set()
    await assert_left(draining, request)


async def test_an_unsent_request_is_not_drained(leave: Any, up: Upstream, draining: Gateway) -> None:
    client = await draining.client()
    await client.send(UPLOAD + b"Content-Length: 100\r\n\r\nhello")
    request = await up.head()
    await until(lambda: request.body, "the first bytes")
    leave(client)
    await assert_left(draining, request)
    with Blackhole() as hole:
        config = one_provider(up, provider={"baseUrl": hole.url, "onDisconnect": "drain"})
        async with Gateway(config) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=STREAM)
            await until(lambda: len(gw.app.upstream.pool), "the connection to be begun")
            leave(client)
            await assert_left(gw, None)


async def test_a_draining_exchange_counts_as_running_during_a_stop(up: Upstream) -> None:
    go_on = asyncio.Event()
    up.on(
        lambda request: [
            Headers(200, SSE_HEADERS),
            Chunk(ROLE),
            Chunk(HELLO),
            Wait(go_on),
            *map(Chunk, EVENTS[2:]),
            LastChunk(),
        ]
    )
    config = one_provider(up, provider={"onDisconnect": "drain"}, server={"drainSecs": 5})
    async with Gateway(config) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        request = await up.request()
        await client.read_head()
        client.close()
        await noticed(gw)
        stopping = asyncio.ensure_future(gw.app.stop())
        await until(lambda: gw.app.serving is not None and gw.app.serving.stopping, "the stop to begin")
        assert running(gw) == 1
        go_on.set()
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]["output"]) == ("client_gone", 2)
        await stopping
        await within(request.gone.wait(), "the connection to the provider to be closed")


async def test_a_draining_exchange_does_not_delay_the_stop_past_its_limit(up: Upstream) -> None:
    up.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(ROLE), Chunk(HELLO), Stall()])
    config = one_provider(up, provider={"onDisconnect": "drain"}, server={"drainSecs": 0.1})
    async with Gateway(config) as gw:
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        request = await up.request()
        await client.read_head()
        client.close()
        await noticed(gw)
        await within(gw.app.stop(), "the gateway to stop")
        await assert_left(gw, request)
