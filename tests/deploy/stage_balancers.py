"""The configurations of deploy/proxies: real balancers in front of two real gateways, a scripted provider behind."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.balancers import BALANCERS, CHAT, DOMAIN, Balancer, NamedClient, Site, ask, site
from tests.deploy.compose import ROOT
from tests.deploy.http2 import Http2Stream
from tests.support import (
    Chunk,
    Headers,
    LastChunk,
    RawClient,
    Stall,
    Wait,
    chat_events,
    completion,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS
from tests.support.machine import debian_program
from tests.support.upstream import Request

SPOOFED = "203.0.113.9"
IN_A_ROW = 24  # of two gateways chosen at random, one is chosen so often by chance once in 16 million
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ndemo\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
)
THINKING_SECS = 0.1  # of the provider before a stream; the fastest real ones take as long
AUDIO = b"0123456789abcdef" * 512
FORM_END = b"\r\n--b--\r\n"
FORM_HEADERS = [
    ("Content-Type", "multipart/form-data; boundary=b"),
    ("Content-Length", str(len(FORM) + 2 * len(AUDIO) + len(FORM_END))),
]

each_balancer = pytest.mark.parametrize("balancer", BALANCERS, ids=str)


# -- requests -------------------------------------------------------------------------------------------


@each_balancer
async def test_requests(balancer: Balancer, tmp_path: Path) -> None:
    """One site for all of these, as it takes seconds to start."""
    async with site(balancer, tmp_path) as running:
        await curl_of_the_readme_works(running)
        for http2 in (False, True) if balancer.http2 else (False,):
            await stream_is_not_buffered(running, http2)
            await upload_is_not_buffered(running, http2)
            await client_that_leaves_cancels_the_call(running, http2)
        if balancer.http2:
            await canceled_stream_leaves_the_others_of_its_connection(running)
        await spoofed_address_is_not_believed(running)
        await other_answers_of_the_gateway_pass(running)
        if balancer.redirects:
            await plain_http_is_redirected(running)


@asynccontextmanager
async def asking(running: Site, http2: bool, body: Any) -> AsyncIterator[NamedClient | Http2Stream]:
    """A request with JSON. The connection ends with the block."""
    if http2:
        async with running.http2() as client:
            yield await client.request("POST", CHAT, json_body=body)
    else:
        async with running.client() as plain:
            await plain.request("POST", CHAT, json=body)
            yield plain


async def status_of(stream: NamedClient | Http2Stream) -> int:
    return await stream.status() if isinstance(stream, Http2Stream) else (await stream.read_head()).status


async def event_of(stream: NamedClient | Http2Stream) -> bytes:
    return await stream.event() if isinstance(stream, Http2Stream) else await stream.read_event()


async def curl_of_the_readme_works(running: Site) -> None:
    """The command of README.md, with the address of the balancer."""
    found = re.search(r"^curl -N http://127\.0\.0\.1:8080(?:.*\\\n)*.*", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert found
    port = running.places.https
    text = found[0].replace("\\\n", " ").replace("http://127.0.0.1:8080", f"https://{DOMAIN}:{port}")
    ca = running.authority.ca_file(running.places.folder)
    options = ("-sS", "--fail", "--cacert", str(ca), "--resolve", f"{DOMAIN}:{port}:127.0.0.1", "--noproxy", "*")
    curl = debian_program("curl", "curl")
    running.upstream.queue(sse_answer(*chat_events("Rivers", " flow")))
    process = await asyncio.create_subprocess_exec(
        curl, *shlex.split(text)[1:], *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await within(process.communicate(), "curl to end")
    assert process.returncode == 0, errors
    assert b"Rivers" in output
    assert output.endswith(b"data: [DONE]\n\n")


def stream_head() -> Iterator[Any]:
    """The beginning of a stream, after some thought.

    Balancers written in Go cut a stream to an HTTP/1.1 client whose beginning overtakes the end of its request within
    the balancer (https://github.com/golang/go/issues/40747): of Traefik 1 in 10,000 that began at once.
    """
    thought = asyncio.Event()
    asyncio.get_running_loop().call_later(THINKING_SECS, thought.set)
    yield Wait(thought)
    yield Headers(200, SSE_HEADERS)


async def stream_is_not_buffered(running: Site, http2: bool) -> None:
    """The provider sends an event only when the client has the one before."""
    events = chat_events(*"abcdefgh")
    received = [asyncio.Event() for _ in events]

    def script() -> Iterator[Any]:
        yield from stream_head()
        for number, event in enumerate(events):
            yield Chunk(event)
            # The first event has the role and no content, so that the gateway holds it back.
            if 0 < number < len(events) - 2:
                yield Wait(received[number])
        yield LastChunk()

    running.upstream.queue([*script()])
    async with asking(running, http2, ask("stream", stream=True)) as stream:
        assert await status_of(stream) == 200
        seen = 0
        while event := await event_of(stream):
            if b"data:" in event:
                received[min(seen, len(received) - 1)].set()
                seen += 1
        assert seen == len(events)


async def upload_is_not_buffered(running: Site, http2: bool) -> None:
    """The provider has the beginning of a form before the client sends its end."""
    target = "/v1/audio/transcriptions"
    arrived = len(running.upstream.requests)
    running.upstream.queue(json_answer({"text": "Hello"}))
    if http2:
        async with running.http2() as client:
            stream = await client.request("POST", target, FORM_HEADERS, more=True)
            await stream.send(FORM + AUDIO)
            await beginning_of_the_file(running, arrived)
            await stream.send(AUDIO + FORM_END, end=True)
            assert await stream.status() == 200
            assert b"Hello" in await stream.rest()
    else:
        async with running.client() as plain:
            await plain.send(plain.encode("POST", target, FORM_HEADERS, FORM + AUDIO))
            await beginning_of_the_file(running, arrived)
            await plain.send(AUDIO + FORM_END)
            answer = await plain.read_answer()
            assert (answer.status, answer.json["text"]) == (200, "Hello")


async def beginning_of_the_file(running: Site, number: int) -> None:
    request = await running.upstream.head(number)
    await until(lambda: AUDIO[:64] in request.body, "the beginning of the file at the provider")
    assert not request.complete.is_set()


async def client_that_leaves_cancels_the_call(running: Site, http2: bool) -> None:
    for begun in (True, False):
        number = len(running.upstream.requests)
        begin = chain(stream_head(), map(Chunk, chat_events("a", "b", finish=None, done=False)))
        running.upstream.queue(chain(begin if begun else (), [Stall()]))
        async with asking(running, http2, ask("leave", stream=begun)) as stream:
            if begun:
                assert await status_of(stream) == 200
                assert b'"a"' in await event_of(stream) + await event_of(stream)
            request = await running.upstream.request(number)
            assert not request.gone.is_set()
        await within(request.gone.wait(), f"the call to be canceled, its answer begun: {begun}", running.lines)


async def canceled_stream_leaves_the_others_of_its_connection(running: Site) -> None:
    number = len(running.upstream.requests)
    go = asyncio.Event()
    running.upstream.on(lambda request: [Wait(go), *json_answer(completion("kept"))])
    async with running.http2() as client:
        kept = await client.request("POST", CHAT, json_body=ask("kept"))
        await running.upstream.request(number)
        running.upstream.queue([Stall()])
        canceled = await client.request("POST", CHAT, json_body=ask("canceled"))
        request = await running.upstream.request(number + 1)
        await canceled.cancel()
        await within(request.gone.wait(), "the call to be canceled", running.lines)
        go.set()
        assert await kept.status() == 200
        assert b"kept" in await kept.rest()
    running.upstream.on(by_key)


def by_key(request: Request) -> Iterable[Any]:
    """An answer with the key, which names the gateway."""
    return json_answer(completion(request.header("authorization") or ""))


async def spoofed_address_is_not_believed(running: Site) -> None:
    """The log of a gateway names the address of the client's connection."""
    headers = [("X-Forwarded-For", SPOOFED), ("X-Real-IP", SPOOFED), ("Forwarded", f"for={SPOOFED}")]
    async with running.client(source="127.0.0.5") as client:
        assert (await client.fetch("POST", CHAT, headers=headers, json=ask("who"))).status == 200
    await until(lambda: any('"client":"127.0.0.5"' in line for line in running.lines()), "the client in the log")
    if running.balancer.http2:
        async with running.http2(source="127.0.0.6") as http2:
            stream = await http2.request("POST", CHAT, headers, json_body=ask("who"))
            assert await stream.status() == 200
        await until(lambda: any('"client":"127.0.0.6"' in line for line in running.lines()), "the client in the log")
    assert not [line for line in running.lines() if SPOOFED in line]


async def other_answers_of_the_gateway_pass(running: Site) -> None:
    async with running.client() as client:
        body = json.dumps(ask("continue")).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        await client.send(client.encode("POST", CHAT, [*headers, ("Expect", "100-continue")]))
        assert (await client.read_head()).status == 100
        await client.send(body)
        assert (await client.read_answer()).status == 200
    async with running.client() as client:
        upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
        answer = await client.fetch(
            "GET", "/v1/responses", headers=[*upgrade, ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
        )
        assert answer.status == 426, answer.body
    async with running.client() as client:
        refused = await client.fetch("POST", CHAT, json=ask("no such model") | {"model": "other"})
        assert refused.status == 404
        assert refused.json["error"]["code"] == "model_not_found"


async def plain_http_is_redirected(running: Site) -> None:
    async with RawClient(running.places.http) as client:
        answer = await client.fetch("GET", "/v1/models?a=b", headers=[("Host", DOMAIN)])
        assert answer.status in (301, 308)
        assert re.fullmatch(rf"https://{re.escape(DOMAIN)}(:\d+)?/v1/models\?a=b", answer.header("location") or "")


# -- gateways that stop ---------------------------------------------------------------------------------


@each_balancer
async def test_gateways_that_stop_and_die(balancer: Balancer, tmp_path: Path) -> None:
    async with site(balancer, tmp_path, delays=(3600, 6)) as running:
        await served_by(running, "Bearer key-0")
        await served_by(running, "Bearer key-1")
        if balancer.checks:
            await stopping_gateway_leaves_the_pool(running)
            await running.start_gateway(0, delay=0)
            await served_by(running, "Bearer key-0")
        await dead_gateway_is_passed_over(running)
        await running.start_gateway(0, delay=0)
        await served_by(running, "Bearer key-0")
        await no_request_fails_during_a_drain(running)


async def who_serves(running: Site) -> str:
    async with running.client() as client:
        answer = await client.fetch("POST", CHAT, json=ask("who"))
    assert answer.status == 200, answer.body
    content: str = answer.json["choices"][0]["message"]["content"]
    return content


async def served_by(running: Site, key: str, *, in_a_row: int = 1) -> None:
    """Send requests until the gateway with this key serves so many in a row. All succeed."""

    async def send() -> None:
        count = 0
        while count < in_a_row:
            count = count + 1 if await who_serves(running) == key else 0
            await asyncio.sleep(0.01)

    await within(send(), f"{in_a_row} requests in a row with {key}", running.lines)


async def stopping_gateway_leaves_the_pool(running: Site) -> None:
    """It still serves, so that only a health check can take it out of the pool."""
    stopping = running.gateways[0]
    stopping.signal(signal.SIGTERM)
    await served_by(running, "Bearer key-1", in_a_row=IN_A_ROW)
    for target, status in ((CHAT, 200), ("/ready", 503)):
        async with RawClient(stopping.port) as client:
            if running.balancer.proxy_protocol:
                await client.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 5000 443\r\n")
            body = ask("direct") if target == CHAT else None
            assert (await client.fetch("POST" if body else "GET", target, json=body)).status == status
    await stopping.kill()


async def dead_gateway_is_passed_over(running: Site) -> None:
    """It dies while the provider works on an answer, which nothing may ask for again."""
    keys: list[str] = []

    def answer(request: Request) -> Iterable[Any]:
        if request.json["messages"][0]["content"] != "held":
            return by_key(request)
        keys.append(request.header("authorization") or "")
        return [Stall()]

    running.upstream.on(answer)
    for _ in range(IN_A_ROW):  # the gateway that serves it cannot be chosen
        keys.clear()
        async with running.client() as client:
            await client.request("POST", CHAT, json=ask("held"))
            await until(lambda: keys, "the request at the provider")
            if keys[0] == "Bearer key-0":
                await running.gateways[0].kill()
                await failed(running, client)
                break
    await served_by(running, "Bearer key-1", in_a_row=IN_A_ROW)
    assert keys == ["Bearer key-0"]


async def failed(running: Site, client: NamedClient) -> None:
    if running.balancer.proxy_protocol:  # TCP
        assert await client.eof() == b""
    else:
        assert (await client.read_answer()).status in (502, 503, 504)


async def no_request_fails_during_a_drain(running: Site) -> None:
    """Neither short requests, some on idle connections, nor a stream that runs through it."""
    end, go = asyncio.Event(), asyncio.Event()
    events = chat_events("a", "b", "c")

    def answer(request: Request) -> Iterable[Any]:
        if not request.json.get("stream"):
            return by_key(request)
        key = (request.header("authorization") or "").encode()
        return [
            *stream_head(),
            *map(Chunk, [b": " + key + b"\n\n", *events[:2]]),
            Wait(go),
            *map(Chunk, events[2:]),
            LastChunk(),
        ]

    running.upstream.on(answer)
    async with asyncio.TaskGroup() as tasks:
        streams = [tasks.create_task(one_stream(running, go, len(events))) for _ in range(4)]
        await until(lambda: sum(1 for each in running.upstream.requests if each.json.get("stream")) >= 4, "the streams")
        senders = [tasks.create_task(keep_sending(running, end)) for _ in range(4)]
        running.gateways[1].signal(signal.SIGTERM)
        await refuses_connections(running.gateways[1].port)
        go.set()
        assert await running.gateways[1].wait() == 0
        await served_by(running, "Bearer key-0", in_a_row=IN_A_ROW)
        end.set()
    assert all(task.result() for task in (*streams, *senders))


async def one_stream(running: Site, go: asyncio.Event, count: int) -> bool:
    async with running.client() as client:
        await client.request("POST", CHAT, json=ask("long", stream=True))
        assert (await client.read_head()).status == 200
        await go.wait()
        events = await client.read_events()
        return sum(b"data:" in event for event in events) == count


async def keep_sending(running: Site, end: asyncio.Event) -> bool:
    """Requests one after the other, on a connection as long as it may be used."""
    count = 0
    while not end.is_set():
        async with running.client() as client:
            while not end.is_set():
                answer = await client.fetch("POST", CHAT, json=ask("who"))
                assert answer.status == 200, answer.body
                count += 1
                await asyncio.sleep(0.05)
                if answer.header("connection") == "close":
                    break
    return count > 0


async def refuses_connections(port: int) -> None:
    async def connect() -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.05)

    await within(connect(), f"port {port} to refuse connections")
