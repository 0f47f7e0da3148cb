"""Provider faults: the client's response, the log and the connection pool."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from proxy.client.connection import UpstreamConnection
from proxy.client.head import Head
from proxy.client.pool import ConnectionPool
from proxy.errors import GatewayError, ShuttingDown
from tests.support import (
    Answer,
    Authority,
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Send,
    Stall,
    Upstream,
    Wait,
    answered_by,
    chat_chunks,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    unspliced,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway, one_provider
from tests.support.steps import Script

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
SPEECH = {"model": "m", "input": "Hi", "voice": "v"}
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
JSON_HEAD = [("Content-Type", "application/json"), ("Content-Length", "1000")]
AUDIO_HEAD = [("Content-Type", "audio/mpeg"), ("Content-Length", "1000")]
RESPONSES = {"model": "m", "input": "Hi"}
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "model": "up-model", "output": []}


async def healthy(gw: Gateway, up: Upstream, client: RawClient | None = None) -> None:
    """Check that the gateway still serves, over a clean upstream connection."""
    client = client or await gw.client()
    for text in ("one", "two"):
        up.queue(json_answer(completion(text)))
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert answer.json["choices"][0]["message"]["content"] == text


def gateway_error(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Return the error of a gateway error response, after common checks."""
    assert answer.status == status
    error: dict[str, Any] = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert "127.0.0.1" not in answer.body.decode()
    assert answer.header("x-router-attempts") == "1"
    assert answer.header("x-router-provider") == "up"
    return error


# -- framing ------------------------------------------------------------------------------------------

FRAMING = {
    "length with coding": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 12\r\n\r\n{}",
    "a bad chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is longer than it says": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "another transfer coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "bare line feeds": OK.replace(b"\r\n", b"\n") + b"Content-Length: 2\n\n{}",
    "a folded header": OK + b"X-A: a\r\n\tSet-Cookie: b\r\nContent-Length: 2\r\n\r\n{}",
    "a NUL in a header": OK + b"X-A: a\0\r\nContent-Length: 2\r\n\r\n{}",
    "protocols switched": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "an endless head": OK + (b"X-A: %b\r\n" % (b"a" * 1000)) * 300,
    "too many headers": OK + b"X-A: a\r\n" * 300 + b"Content-Length: 2\r\n\r\n{}",
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "a status from nowhere": b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("raw", FRAMING.values(), ids=FRAMING.keys())
@pytest.mark.parametrize("call", [CALL, STREAM], ids=["plain", "stream"])
async def test_invalid_framing_is_a_502_and_affects_no_other_response(raw: bytes, call: dict[str, Any]) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue([raw])
        client = await gw.client()
        gateway_error(await client.fetch("POST", CHAT, json=call), 502, "upstream_broken_answer")
        line = await gw.settled()
        assert (line["status"], line["outcome"], line["error"]) == (502, "error", "upstream_broken_answer")
        await healthy(gw, up, client)
        assert len(up.open_connections) == 1


async def test_a_response_with_surplus_bytes_is_delivered_and_its_connection_closed() -> None:
    poison = json_answer(completion("poison"))
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        head, body = json_answer(completion("mine"))
        poisoned = b"".join(step.data for step in (head, body, *poison))  # type: ignore[union-attr]
        up.queue([poisoned])
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert answer.json["choices"][0]["message"]["content"] == "mine"
        await within(up.connections[0].gone.wait(), "the connection to be dropped")
        await healthy(gw, up, client)


async def test_late_bytes_on_an_idle_connection_reach_no_client() -> None:
    go = asyncio.Event()
    poison = b"".join(step.data for step in json_answer(completion("poison")))  # type: ignore[union-attr]
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([*json_answer(completion("mine")), Wait(go), Send(poison)])
        await client.fetch("POST", CHAT, json=CALL)
        go.set()
        await within(up.connections[0].gone.wait(), "the connection to be dropped")
        await healthy(gw, up, client)


async def test_interim_responses_are_skipped() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        interim = [
            Headers(100),
            Headers(103, [("Link", "</style.css>")]),
            Headers(102, []),
        ]
        up.queue([*interim, *json_answer(completion("mine"))])
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.header("link")) == (200, None)
        assert len(up.connections) == 1
        await healthy(gw, up, client)
        assert len(up.connections) == 1


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["plain", "stream"])
async def test_a_body_that_ends_with_the_connection_is_complete(call: dict[str, Any]) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        kind, body = (
            ("text/event-stream", chat_chunks("Hello")) if "stream" in call else ("application/json", b'{"a":1}')
        )
        up.queue([Headers(200, [("Content-Type", kind)]), Send(body[:7]), Send(body[7:]), Close()])
        answer = await client.fetch("POST", CHAT, json=call)
        assert answer.status == 200
        assert (answer.body if "stream" in call else unspliced(answer.body)[0]) == body
        assert (await gw.settled())["outcome"] == "ok"
        await healthy(gw, up, client)


@pytest.mark.parametrize("cuts", [(), (1,), (0, 1, 60)], ids=["whole", "late", "in pieces"])
async def test_a_plain_response_is_the_same_under_any_framing(cuts: tuple[int, ...]) -> None:
    body = json.dumps(completion("Hello")).encode()
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        pauses = [asyncio.Event() for _ in cuts]
        pieces = [body[begin:end] for begin, end in pairwise((0, *cuts, len(body)))]
        steps: Script = [Headers(200, head), Send(pieces[0])]
        for pause, piece in zip(pauses, pieces[1:], strict=True):
            steps += [Wait(pause), Send(piece)]
        up.queue(steps)
        for number, pause in enumerate(pauses, 1):
            asyncio.get_running_loop().call_later(0.03 * number, pause.set)
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, unspliced(answer.body)) == (200, (body, answered_by()))
        await gw.settled()
        assert gw.app.gateway is not None
        assert gw.app.gateway._context.budget.used == 0
        await healthy(gw, up, client)
        assert len(up.connections) == 1


async def test_content_length_of_a_bodiless_response_is_ignored() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([Headers(204, JSON_HEAD)])
        gateway_error(await client.fetch("POST", CHAT, json=CALL), 502, "upstream_empty_answer")


async def test_head_through_passthrough_has_a_length_and_no_body() -> None:
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["HEAD /files"]})) as gw:
        client = await gw.client()
        for _ in range(2):
            up.queue([Headers(200, [("Content-Type", "application/pdf"), ("Content-Length", "123456")])])
            answer = await client.fetch("HEAD", "/proxy/up/files/file-1")
            assert (answer.status, answer.header("content-length"), answer.body) == (200, "123456", b"")
        assert [request.method for request in up] == ["HEAD", "HEAD"]
        await healthy(gw, up, client)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    async with Upstream() as up, Upstream() as other, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([Headers(status, [("Location", other.url + "/chat/completions"), ("Content-Length", "0")])])
        answer = await client.fetch("POST", CHAT, json=CALL)
        gateway_error(answer, 502, "upstream_redirect")
        assert answer.header("location") is None
        assert other.requests == []
        await healthy(gw, up, client)


# -- a provider that dies, phase by phase ---------------------------------------------------------------

DEATHS = pytest.mark.parametrize("death", [Close(), Reset()], ids=["close", "reset"])


@DEATHS
@pytest.mark.parametrize(
    "begun",
    [
        [],
        [b"HTTP/1.1 200 OK\r\nContent-Ty"],
        [Headers(200, JSON_HEAD)],
        [Headers(200, JSON_HEAD), b'{"id": "half an ans'],
        [Headers(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]), Chunk(b'{"id"')],
    ],
    ids=["before the head", "in the head", "before the body", "in the body", "in a chunked body"],
)
async def test_a_disconnect_within_a_json_response_is_a_502(begun: list[Any], death: Close | Reset) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([*begun, death])
        gateway_error(await client.fetch("POST", CHAT, json=CALL), 502, "upstream_disconnected")
        assert (await gw.settled())["outcome"] == "error"
        assert gw.app.metrics.possible_double_executions == 0
        await healthy(gw, up, client)


@DEATHS
@pytest.mark.parametrize(
    "begun",
    [
        [],
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/ev"],
        [Headers(200, SSE_HEADERS)],
        [Headers(200, SSE_HEADERS), Chunk(b": thinking\n\n")],
        [Headers(200, SSE_HEADERS), Chunk(chat_events("x")[0])],
        [Headers(200, SSE_HEADERS), Chunk(b'data: {"id":"half')],
    ],
    ids=["before the head", "in the head", "before any event", "after a comment", "after the role", "in an event"],
)
async def test_a_disconnect_before_the_first_content_is_a_502(begun: list[Any], death: Close | Reset) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([*begun, death])
        answer = await client.fetch("POST", CHAT, json=STREAM)
        assert answer.status == 502
        gateway_error(answer, 502, answer.json["error"]["code"])
        assert answer.header("content-type") == "application/json"
        assert (await gw.settled())["outcome"] == "error"
        await healthy(gw, up, client)


@DEATHS
async def test_a_disconnect_within_a_stream_is_one_in_band_error(death: Close | Reset) -> None:
    go = asyncio.Event()
    events = chat_events("Hello", " world", finish=None, done=False)
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([Headers(200, SSE_HEADERS), *(Chunk(event) for event in events), Wait(go), death])
        await client.request("POST", CHAT, json=STREAM)
        assert (await client.read_head()).status == 200
        assert [await client.read_event() for _ in events] == events
        go.set()
        last, *rest = await client.read_events()  # the chunked body ends in good order
        assert rest == []
        error = json.loads(last.removeprefix(b"data: "))["error"]
        assert error["code"] == "upstream_disconnected"
        assert "127.0.0.1" not in str(error)
        line = await gw.settled()
        assert (line["outcome"], line["status"], line["error"]) == ("broken", 200, "upstream_disconnected")
        await healthy(gw, up, client)


async def test_a_stream_that_ends_cleanly_but_early_is_an_in_band_error() -> None:
    events = chat_events("Hello", finish=None, done=False)
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue(sse_answer(*events))
        answer = await client.fetch("POST", CHAT, json=STREAM)
        assert answer.body.startswith(b"".join(events))
        assert json.loads(answer.body[len(b"".join(events)) :].removeprefix(b"data: "))["error"]["code"] == (
            "upstream_stream_truncated"
        )
        assert b"[DONE]" not in answer.body
        await gw.settled()
        await healthy(gw, up, client)
        # The provider's framing was sound: its connection may be used again.
        assert len(up.connections) == 1


@DEATHS
async def test_a_disconnect_within_a_binary_response_aborts_the_client_connection(death: Close | Reset) -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([Headers(200, AUDIO_HEAD), Send(b"half"), Wait(go), death])
        await client.request("POST", "/v1/audio/speech", json=SPEECH)
        head = await client.read_head()
        assert (head.status, head.header("content-length")) == (200, "1000")
        assert await client.read_some() == b"half"
        go.set()
        assert await client.eof() == b""  # 4 of 1000 bytes: no client takes that for whole
        assert (await gw.settled())["outcome"] == "broken"
        await healthy(gw, up)


@DEATHS
async def test_a_disconnect_within_a_chunked_binary_response_leaves_it_unfinished(
    death: Close | Reset,
) -> None:
    go = asyncio.Event()
    head = [("Content-Type", "audio/mpeg"), ("Transfer-Encoding", "chunked")]
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([Headers(200, head), Chunk(b"half"), Wait(go), death])
        await client.request("POST", "/v1/audio/speech", json=SPEECH)
        await client.read_head()
        assert await client.read_chunk() == b"half"
        go.set()
        assert await client.eof() == b""  # not even the chunk that would end it
        await healthy(gw, up)


# -- reused connections -----------------------------------------------------------------------------------


async def warm(gw: Gateway, up: Upstream, client: RawClient) -> None:
    """Leaves one idle connection to the provider."""
    up.queue(json_answer(completion("warm")))
    assert (await client.fetch("POST", CHAT, json=CALL)).status == 200


@DEATHS
@pytest.mark.parametrize("call", [CALL, STREAM], ids=["plain", "stream"])
async def test_a_stale_connection_is_replaced_for_a_replayable_request(
    call: dict[str, Any], death: Close | Reset
) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await warm(gw, up, client)
        answer = sse_answer(*chat_events("Hello")) if "stream" in call else json_answer(completion("Hello"))
        up.queue([death], answer)
        got = await client.fetch("POST", CHAT, json=call)
        assert got.status == 200
        assert b"Hello" in got.body
        assert [request.connection.number for request in up] == [0, 0, 1]
        assert up.requests[1].body == up.requests[2].body
        assert gw.app.metrics.possible_double_executions == 1
        scrape = await client.fetch("GET", "/metrics")
        assert b"llm_possible_double_executions_total 1" in scrape.body


async def test_a_connection_closed_while_idle_is_replaced_without_a_double_execution() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([*json_answer(completion("warm")), Close()])
        await client.fetch("POST", CHAT, json=CALL)
        await until(lambda: not len(gw.app.upstream.pool), "the gateway to see the close")
        await healthy(gw, up, client)
        assert gw.app.metrics.possible_double_executions == 0


@DEATHS
async def test_a_stale_connection_is_a_502_for_a_request_that_must_not_run_twice(
    death: Close | Reset,
) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await warm(gw, up, client)
        up.queue([death])
        gateway_error(await client.fetch("POST", "/v1/responses", json=RESPONSES), 502, "upstream_disconnected")
        assert len(up.requests) == 2
        assert gw.app.metrics.possible_double_executions == 0
        up.queue(json_answer(RESPONSE))
        assert (await client.fetch("POST", "/v1/responses", json=RESPONSES)).status == 200


@pytest.mark.parametrize("begun", [b"HTTP/1.1 2", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_connection_lost_after_a_response_byte_is_not_replaced(begun: bytes) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await warm(gw, up, client)
        up.queue([begun, Close()])
        gateway_error(await client.fetch("POST", CHAT, json=CALL), 502, "upstream_disconnected")
        assert len(up.requests) == 2
        await healthy(gw, up, client)


async def test_a_lost_new_connection_is_not_replaced() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue([Close()])
        gateway_error(await client.fetch("POST", CHAT, json=CALL), 502, "upstream_disconnected")
        assert len(up.requests) == 1


async def test_a_stale_connection_from_the_queue_is_replaced_too() -> None:
    """With a maximum the connection may come from the queue and not from the shelf: it is as old."""
    async with Upstream() as up, Gateway(one_provider(up, pool={"maxConnections": 1})) as gw:
        go = asyncio.Event()
        first, second = await gw.client(), await gw.client()
        up.queue([Wait(go), *json_answer(completion("one"))], [Close()], json_answer(completion("two")))
        await first.request("POST", CHAT, json=CALL)
        await up.request(0)
        await second.request("POST", CHAT, json=CALL)
        await until(lambda: gw.app.metrics.in_flight == 2, "the second to wait for the connection")
        go.set()
        assert (await first.read_answer()).status == 200
        answer = await second.read_answer()
        assert answer.status == 200
        assert answer.json["choices"][0]["message"]["content"] == "two"
        assert gw.app.metrics.possible_double_executions == 1


async def test_a_disconnect_during_the_replacement_sends_no_second_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await warm(gw, up, client)
        pool, given_up = gw.app.upstream.pool, asyncio.Event()
        assert pool is not None

        async def slow(*_: object) -> UpstreamConnection:
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()
            raise AssertionError

        monkeypatch.setattr(ConnectionPool, "open", slow)
        up.queue([Close()])
        await client.request("POST", CHAT, json=CALL)
        await until(lambda: gw.app.metrics.possible_double_executions == 1, "the connection to be replaced")
        client.reset()
        await within(given_up.wait(), "the dial to be given up")
        await until(lambda: gw.app.metrics.in_flight == 0, "the exchange to be over")
        assert len(up.requests) == 2
        assert not len(pool)


async def test_the_rest_of_a_large_body_is_not_sent_after_the_response() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.on_head(lambda request: json_answer(error_json("No."), status=400))
        big = CALL | {"messages": [{"role": "user", "content": "a" * 2_000_000}]}
        got = await (await gw.client()).fetch("POST", CHAT, json=big)
        assert got.status == 400
        uploads = "Attempt._upload"
        await until(lambda: not any(uploads in repr(task) for task in asyncio.all_tasks()), "the upload to end")
        assert not len(gw.app.upstream.pool)


# -- one connection, one request ----------------------------------------------------------------------------


@pytest.mark.parametrize("maximum", [0, 3])
async def test_concurrent_responses_do_not_mix(maximum: int) -> None:
    """Keep-alive on both sides, streams and plain answers mixed, clients leaving, connections dying."""
    clients, rounds = 24, 25

    def answer(request: Any) -> Script:
        text = request.json["messages"][0]["content"]
        steps = sse_answer(*chat_events(text)) if request.json.get("stream") else json_answer(completion(text))
        if request.number % 17 == 16:
            steps = [*steps, Close()]
        if request.number % 23 == 22:
            steps = [steps[0], Stall()]
        return steps

    pool = {"maxConnections": maximum, "waitSecs": 30}
    limits = {"timeouts": {"idle": 0.3, "total": 3}, "circuitBreaker": {"failureThreshold": 1_000_000}}
    async with Upstream() as up, Gateway(one_provider(up, pool=pool, **limits)) as gw:
        up.on(answer)
        wrong: list[object] = []
        counts = {200: 0, 502: 0, 504: 0}

        async def one(number: int) -> None:
            client = await gw.client()
            for turn in range(rounds):
                text = f"client {number} turn {turn}"
                call = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": turn % 3 == 1}
                await client.request("POST", CHAT, json=call)
                if (number + turn) % 11 == 10:
                    client.reset()
                    client = await gw.client()
                    continue
                got = await client.read_answer()
                counts[got.status] += 1
                if got.status == 200 and text.encode() + b'"' not in got.body:
                    wrong.append((text, got.body))
                if got.status == 200 and got.body.count(b"client ") != 1:
                    wrong.append((text, got.body))

        await asyncio.gather(*(one(number) for number in range(clients)))
        assert wrong == []
        assert counts[200] > clients * rounds * 0.7
        assert len(up.connections) < clients * rounds / 2
        if maximum:
            assert len(up.open_connections) <= maximum


class Other:
    """The request of another client on the connection."""

    def __init__(self) -> None:
        self.body = b""
        self.fault: GatewayError | None = None
        self.over = asyncio.Event()

    def head(self, head: Head) -> Callable[[bytes], None]:
        return self.take

    def take(self, data: bytes) -> None:
        self.body += data

    def end(self) -> None:
        self.over.set()

    def broken(self, fault: GatewayError) -> None:
        self.fault = fault
        self.over.set()


ENDINGS = {
    "plain": (CHAT, CALL, json_answer(completion("Hello"))),
    "stream": (CHAT, STREAM, sse_answer(*chat_events("Hello"))),
    "binary": ("/v1/audio/speech", SPEECH, [Headers(200, [("Content-Length", "5")]), Send(b"sound")]),
    "chunked": (
        "/v1/audio/speech",
        SPEECH,
        [Headers(200, [("Transfer-Encoding", "chunked")]), Chunk(b"sound"), LastChunk()],
    ),
}


@pytest.mark.parametrize("disturb", ["client gone", "stop", "clock", "pause"])
@pytest.mark.parametrize(("path", "call", "script"), ENDINGS.values(), ids=ENDINGS.keys())
async def test_a_reset_between_the_end_of_a_response_and_its_handling_is_harmless(
    path: str, call: dict[str, Any], script: list[Any], disturb: str
) -> None:
    """A late timeout or reset must not affect the next request on the connection."""
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        pool, gateway, other = gw.app.upstream.pool, gw.app.gateway, Other()
        assert pool is not None
        assert gateway is not None
        release = pool.release
        up.queue(script)
        up.queue([b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", Send(b"theirs")])

        def release_and_take(connection: UpstreamConnection) -> None:
            pool.release = release  # type: ignore[method-assign]
            release(connection)
            assert pool.take(connection.origin, 0.0) is connection
            connection.send((b"GET /v1/x HTTP/1.1\r\nHost: up\r\n\r\n",), other, asyncio.get_running_loop().time())
            (request,) = gw.app.serving._running.values()  # type: ignore[union-attr]
            assert request.flow is not None
            if disturb == "client gone":
                request.flow.client_gone()
            elif disturb == "stop":
                request.flow.interrupt(ShuttingDown("Too late"))
            elif disturb == "clock":
                gateway._context.ticker._tick()
            else:
                request.flow.pause()

        pool.release = release_and_take  # type: ignore[method-assign]
        client = await gw.client()
        answer = await client.fetch("POST", path, json=call)
        assert answer.status == 200
        assert b"Hello" in answer.body or answer.body == b"sound"
        await within(other.over.wait(), "the other's answer", lambda: (other.body, other.fault))
        assert (other.body, other.fault) == (b"theirs", None)
        assert len(up.connections) == 1
        assert (await gw.settled())["outcome"] == "ok"


# -- no connection at all -------------------------------------------------------------------------------------


def elsewhere(url: str, **provider: Any) -> dict[str, Any]:
    return {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        "providers": {"up": {"baseUrl": url, "apiKey": "secret-key"} | provider},
        "models": [{"name": "m", "provider": "up", "model": "up-model"}],
    }


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["plain", "stream"])
async def test_a_refused_connection_is_a_502_with_the_address_in_the_log_only(call: dict[str, Any]) -> None:
    async with Upstream() as up:
        pass  # its port is closed again
    async with Gateway(elsewhere(up.url)) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=call)
        gateway_error(answer, 502, "upstream_unreachable")
        assert str(up.port) not in answer.body.decode()
        line = await gw.settled()
        assert f"127.0.0.1:{up.port}" in line["detail"]
        assert (line["error"], line["provider"], line["attempts"]) == ("upstream_unreachable", "up", 1)


async def test_a_name_that_cannot_be_resolved_is_a_502_with_the_name_in_the_log_only() -> None:
    async with Gateway(elsewhere("http://nothing.invalid/v1")) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL)
        gateway_error(answer, 502, "upstream_dns")
        assert b"nothing" not in answer.body
        assert "nothing.invalid" in (await gw.settled())["detail"]


async def test_an_untrusted_certificate_is_a_502(authority: Authority) -> None:
    async with Upstream(tls=authority.server_context()) as up, Gateway(elsewhere(up.url)) as gw:
        answer = await (await gw.client()).fetch("POST", CHAT, json=CALL)
        gateway_error(answer, 502, "upstream_tls")
        assert "certificate" not in answer.json["error"]["message"].lower()
        assert f"127.0.0.1:{up.port}" in (await gw.settled())["detail"]
        assert up.requests == []


async def test_a_provider_without_tls_is_a_502() -> None:
    async with Upstream() as up:
        up.on_connect(b"HTTP/1.1 400 Bad Request\r\n\r\n", Close())
        async with Gateway(elsewhere(up.url.replace("http:", "https:"))) as gw:
            gateway_error(await (await gw.client()).fetch("POST", CHAT, json=CALL), 502, "upstream_tls")


async def test_tls_connections_are_reused_too(authority: Authority, tmp_path: Path) -> None:
    async with Upstream(tls=authority.server_context()) as up:
        tls = {"caFile": str(authority.ca_file(tmp_path))}
        async with Gateway(elsewhere(up.url, tls=tls)) as gw:
            client = await gw.client()
            await healthy(gw, up, client)
            up.queue(sse_answer(*chat_events("Hello")))
            assert (await client.fetch("POST", CHAT, json=STREAM)).body == b"".join(chat_events("Hello"))
            assert len(up.connections) == 1
            await warm(gw, up, client)
            up.queue([Reset()], json_answer(completion("again")))
            assert (await client.fetch("POST", CHAT, json=CALL)).status == 200


# -- compressed answers --------------------------------------------------------------------------------------


def raw_deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush()


CODED = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "in capitals": ("GZIP", gzip.compress),
}


@pytest.mark.parametrize(("coding", "squeeze"), CODED.values(), ids=CODED.keys())
async def test_an_unrequested_compressed_response_is_decoded(coding: str, squeeze: Callable[[bytes], bytes]) -> None:
    value = json.dumps(completion("Hello " * 1000)).encode()
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        body = squeeze(value)
        head = [("Content-Type", "application/json"), ("Content-Encoding", coding), ("Content-Length", str(len(body)))]
        up.queue([Headers(200, head), Send(body)])
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert answer.status == 200
        assert unspliced(answer.body) == (value, answered_by())
        assert answer.header("content-encoding") is None
        assert answer.header("content-length") == str(len(answer.body))
        assert up.requests[0].header("accept-encoding") == "identity"
        await healthy(gw, up, client)


async def test_a_compressed_stream_is_decoded_event_by_event() -> None:
    events = chat_events("Hello", " world")
    squeeze = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    pieces = [squeeze.compress(event) + squeeze.flush(zlib.Z_SYNC_FLUSH) for event in events]
    pieces[-1] += squeeze.flush()
    go = asyncio.Event()
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        head = Headers(200, [*SSE_HEADERS, ("Content-Encoding", "gzip")])
        up.queue([head, *map(Chunk, pieces[:2]), Wait(go), *map(Chunk, pieces[2:]), LastChunk()])
        await client.request("POST", CHAT, json=STREAM)
        assert (await client.read_head()).header("content-encoding") is None
        assert [await client.read_event(), await client.read_event()] == events[:2]
        go.set()
        assert await client.read_events() == events[2:]
        assert (await gw.settled())["outcome"] == "ok"


async def test_a_compressed_binary_response_is_decoded() -> None:
    sound = bytes(range(256)) * 500
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        body = gzip.compress(sound)
        head = [("Content-Type", "audio/mpeg"), ("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        up.queue([Headers(200, head), Send(body)])
        answer = await client.fetch("POST", "/v1/audio/speech", json=SPEECH)
        assert (answer.status, answer.body) == (200, sound)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br"])
async def test_an_unknown_content_coding_is_a_502(coding: str) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        head = [("Content-Type", "application/json"), ("Content-Encoding", coding), ("Content-Length", "4")]
        up.queue([Headers(200, head), Send(b"\x0b\x01{}")])
        gateway_error(await client.fetch("POST", CHAT, json=CALL), 502, "upstream_broken_answer")
        await healthy(gw, up, client)


@pytest.mark.parametrize(
    "body", [b"this is not gzip", gzip.compress(b'{"a": 1}' * 100)[:-30]], ids=["damaged", "cut off"]
)
@pytest.mark.parametrize(("path", "call"), [(CHAT, CALL), ("/v1/audio/speech", SPEECH)], ids=["json", "binary"])
async def test_a_corrupt_compressed_response_is_a_502_or_an_abort(body: bytes, path: str, call: dict[str, Any]) -> None:
    kind = "application/json" if path == CHAT else "audio/mpeg"
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        head = [("Content-Type", kind), ("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        up.queue([Headers(200, head), Send(body)])
        await client.request("POST", path, json=call)
        head_seen = await client.read_head()
        if head_seen.status == 200:  # some of it was out already: then it must not look whole
            assert head_seen.header("transfer-encoding") == "chunked"
            raw = await client.eof()
            assert not raw.endswith(b"0\r\n\r\n")
            assert (await gw.settled())["outcome"] == "broken"
        else:
            assert head_seen.status == 502
        await healthy(gw, up)


async def test_a_decompression_bomb_is_rejected() -> None:
    bomb = gzip.compress(b'"' + b"a" * (8 * 1024 * 1024) + b'"')
    assert len(bomb) < 64 * 1024
    async with Upstream() as up, Gateway(one_provider(up, server={"maxBufferedMb": 1})) as gw:
        client = await gw.client()
        head = [("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("Content-Length", str(len(bomb)))]
        up.queue([Headers(200, head), Send(bomb)])
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.header("retry-after")) == (503, "1")
        await healthy(gw, up, client)


# -- what is too much, and what is no answer ---------------------------------------------------------------------


async def test_full_buffers_are_a_503_and_not_a_provider_failure() -> None:
    async with Upstream() as up, Gateway(one_provider(up, server={"maxBufferedMb": 0.1})) as gw:
        client = await gw.client()
        up.queue(json_answer(completion("x" * 300_000)))
        answer = await client.fetch("POST", CHAT, json=CALL)
        gateway_error(answer, 503, "buffers_full")
        assert answer.header("retry-after") == "1"
        await healthy(gw, up, client)
        assert (await gw.settled())["error"] == "buffers_full"


async def test_a_response_over_the_collecting_limit_streams() -> None:
    value = completion("x" * 3_000_000)
    async with Upstream() as up, Gateway(one_provider(up, server={"maxAnswerMb": 1})) as gw:
        client = await gw.client()
        # What streams is not held until its end is known: only its header lines tell who answered.
        for sent, member in ((completion("x" * 1000), {"_router": answered_by()}), (value, {})):
            up.queue(json_answer(sent))
            answer = await client.fetch("POST", CHAT, json=CALL)
            assert (answer.status, answer.json) == (200, sent | member)
            assert answer.header("content-length") is not None
            assert answer.header("content-type") == "application/json"
            assert answer.header("x-router-model") == "m"
        up.queue(
            [
                Headers(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]),
                Chunk(json.dumps(value).encode()),
                LastChunk(),
            ]
        )
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert answer.json == value
        assert answer.header("transfer-encoding") == "chunked"


async def test_a_response_over_the_collecting_limit_is_sent_before_it_is_complete() -> None:
    go = asyncio.Event()
    async with Upstream() as up, Gateway(one_provider(up, server={"maxAnswerMb": 0.1})) as gw:
        client = await gw.client()
        head = Headers(200, [("Content-Type", "application/json"), ("Content-Length", "200002")])
        up.queue([head, Send(b'"' + b"a" * 150_000), Wait(go), Send(b"a" * 50_000 + b'"')])
        await client.request("POST", CHAT, json=CALL)
        assert (await client.read_head()).status == 200
        go.set()
        assert await client.read_body() == b'"' + b"a" * 200_000 + b'"'
        assert (await gw.settled())["outcome"] == "ok"


async def test_a_truncated_large_response_is_aborted() -> None:
    async with Upstream() as up, Gateway(one_provider(up, server={"maxAnswerMb": 0.1})) as gw:
        client = await gw.client()
        head = Headers(200, [("Content-Type", "application/json"), ("Content-Length", "200002")])
        up.queue([head, Send(b'"' + b"a" * 150_000), Close()])
        await client.request("POST", CHAT, json=CALL)
        assert (await client.read_head()).status == 200
        assert len(await client.eof()) < 200_002
        assert (await gw.settled())["outcome"] == "broken"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "upstream_empty_answer"),
        (b" \r\n", "upstream_empty_answer"),
        (b"<html>busy</html>", "upstream_broken_answer"),
        (b'{"id": "cut', "upstream_broken_answer"),
        (b'{"id": \xff}', "upstream_broken_answer"),
    ],
)
async def test_a_body_that_is_not_json_is_a_502(body: bytes, code: str) -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        up.queue([Headers(200, head), Send(body)])
        gateway_error(await client.fetch("POST", CHAT, json=CALL), 502, code)
        await healthy(gw, up, client)
        assert len(up.connections) == 1


async def test_an_error_in_a_200_is_an_error() -> None:
    clock = FakeClock()
    async with Upstream() as up, Gateway(one_provider(up), clock=clock) as gw:
        client = await gw.client()
        up.queue(json_answer(error_json("Too many of you", kind="rate_limit_error", code="rate_limit_exceeded")))
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.json["error"]["message"]) == (429, "Too many of you")
        assert answer.header("retry-after") in ("1", "2")
        clock.advance(2.0)
        up.queue(sse_answer(b'data: {"error": {"message": "Overloaded", "code": 503}}\n\n'))
        answer = await client.fetch("POST", CHAT, json=STREAM)
        assert (answer.status, answer.json["error"]["message"]) == (502, "Overloaded")
        await healthy(gw, up, client)


async def test_a_rate_limit_of_one_model_does_not_affect_other_models() -> None:
    clock = FakeClock()
    models = [{"name": name, "provider": "up", "model": f"up-{name}"} for name in ("m", "n")]
    config = {"models": models, "routing": {"maxRetries": 0, "rateLimitRetries": 0, "deadlineSecs": 5}}
    async with Upstream() as up, Gateway(one_provider(up, **config), clock=clock) as gw:
        client = await gw.client()
        up.queue(json_answer(error_json("Slow down"), 429, [("Retry-After", "20")]))
        gateway_error(await client.fetch("POST", CHAT, json=CALL), 429, "rate_limit_exceeded")
        up.queue(json_answer(completion("other")))
        assert (await client.fetch("POST", CHAT, json=CALL | {"model": "n"})).status == 200
        resting = await client.fetch("POST", CHAT, json=CALL)
        assert (resting.status, resting.header("retry-after"), len(up.requests)) == (429, "20", 2)
        clock.advance(20.0)
        await healthy(gw, up, client)


@pytest.mark.parametrize("size", [255_999, 5_000_000])
async def test_a_single_event_may_be_large_but_not_endless(size: int) -> None:
    event = chat_events("x" * size)[1]
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue(sse_answer(event, *chat_events()[1:]))
        answer = await client.fetch("POST", CHAT, json=STREAM)
        assert answer.status == 200
        assert answer.body.startswith(event)

        async def endless() -> None:
            head = Headers(200, SSE_HEADERS)
            up.queue([head, Chunk(b"data: "), *[Chunk(b"x" * 1_000_000)] * 40])
            answer = await client.fetch("POST", CHAT, json=STREAM)
            assert answer.status == 502

        if size > 1_000_000:
            await endless()
            await healthy(gw, up, client)
