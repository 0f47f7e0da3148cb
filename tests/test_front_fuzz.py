"""Some thousand byte streams that are not valid requests: the server responds or closes, and stays healthy.

The dice are seeded: a failure names the stream's number, which is all that is needed to send it again.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from tests.support import RawClient, Upstream, chat_events, completion, json_answer, sse_answer, until, within
from tests.support.gateway import Gateway, one_provider

SEED = 20_240_229
STREAMS = 2500
AT_ONCE = 40
CHAT = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'
LIVE = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}'
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.wav"\r\n\r\nsound\r\n--b--\r\n'
)


def request(line: bytes, body: bytes = b"", *lines: bytes) -> bytes:
    length = [b"Content-Length: %d" % len(body)] if body else []
    return b"\r\n".join([line, b"Host: 127.0.0.1", *lines, *length, b"", body])


def chunked(line: bytes, body: bytes, *trailers: bytes) -> bytes:
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]))
    return request(line, b"", b"Transfer-Encoding: chunked") + chunks + b"0\r\n" + b"".join(trailers) + b"\r\n"


POST = b"POST /v1/chat/completions HTTP/1.1"
VALID = [
    request(POST, CHAT, b"Content-Type: application/json", b"Authorization: Bearer sk-client"),
    request(POST, LIVE, b"Content-Type: application/json"),
    request(POST, CHAT, b"Expect: 100-continue"),
    request(POST, CHAT, b"Connection: close"),
    request(POST, CHAT, b"Origin: https://chat.example"),
    request(b"POST /api/v1/chat/completions?x=1 HTTP/1.0", LIVE),
    chunked(POST, CHAT),
    chunked(POST, LIVE, b"X-Trailer: 1\r\n"),
    request(b"POST /v1/embeddings HTTP/1.1", b'{"model":"m","input":[1,2,3]}', b"x-request-id: abc"),
    request(b"POST /v1/audio/transcriptions HTTP/1.1", FORM, b"Content-Type: multipart/form-data; boundary=b"),
    chunked(b"POST /v1/audio/transcriptions HTTP/1.1", FORM),
    request(b"GET /v1/models HTTP/1.1"),
    request(b"HEAD /v1/models/m HTTP/1.1"),
    request(b"GET /health HTTP/1.1", b"", b"Accept: */*"),
    request(
        b"OPTIONS /v1/models HTTP/1.1", b"", b"Origin: https://chat.example", b"Access-Control-Request-Method: GET"
    ),
    request(b"GET http://127.0.0.1/v1/models HTTP/1.1"),
    request(b"GET /admin/x HTTP/1.1", b"", b"Sec-Fetch-Site: cross-site"),
    request(b"GET /v1/realtime HTTP/1.1", b"", b"Upgrade: websocket", b"Connection: Upgrade"),
    request(b"CONNECT 127.0.0.1:443 HTTP/1.1"),
    request(b"GET /proxy/up/files HTTP/1.1"),
]
# Inputs that broke parsers: line ends, framing, numbers, names.
MORSELS = [
    *(
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\0",
        b"\x80",
        b"\xff\xfe",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"%",
        b"..",
        b"//",
    ),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 0x10\r\n", b"Content-Length: 1_0\r\n"),
    *(b"Content-Length: 99999999999999999999999\r\n", b"Content-Length: 1, 1\r\n", b"Content-Length: \xb2\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding:\x0bchunked\r\n"),
    *(b"Host: evil.example\r\n", b"Host:\r\n", b"Connection: keep-alive, close\r\n", b"Expect: 200-maybe\r\n"),
    *(b"Content-Encoding: gzip\r\n", b"Content-Type: multipart/form-data\r\n", b"X: " + b"a" * 40_000 + b"\r\n"),
    *(b"X: y\r\n" * 300, b" folded: yes\r\n", b"Upgrade: h2c\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    *(b"ffffffffffffffff\r\n", b"-1\r\n", b"0\r\n\r\n", b'5;ext="\r\n', b"1" * 400, b"9e999", b"[" * 2000, b"{" * 2000),
    *(
        b'"stream":true,',
        b'"n":1e400,',
        b'"model":null,',
        b'"\\ud800"',
        b'"messages":{},',
        b"\xed\xa0\x80",
        b"HTTP/9.9",
    ),
    *(b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n", b"--b--\r\n", b"--b\r\n"),
]


def mutated(dice: Random, data: bytes) -> bytes:
    """``data`` with one thing wrong."""
    place = dice.randrange(len(data) + 1)
    end = min(len(data), place + dice.choice((1, 1, 2, 5, 30)))
    match dice.randrange(7):
        case 0:
            return data[:place] + bytes([dice.randrange(256)]) + data[place + 1 :]
        case 1:
            return data[:place] + data[end:]
        case 2:
            return data[:end] + data[place:]
        case 3:
            return data[:place]
        case 4:
            lines = data.split(b"\r\n")
            lines.insert(dice.randrange(len(lines)), dice.choice(lines))
            return b"\r\n".join(lines)
        case 5:
            return re.sub(rb"\d+", lambda found: dice.choice((found[0], found[0] * 3, b"0", b"1" * 30)), data)
    return data[:place] + dice.choice(MORSELS) + data[place:]


def stream(number: int) -> tuple[list[bytes], str]:
    """The pieces in which a stream is sent, and what its client does in the end."""
    dice = Random(SEED + number)
    data = b"".join(dice.choice(VALID) for _ in range(dice.choice((1, 1, 1, 2, 4))))
    for _ in range(dice.choice((0, 1, 1, 2, 5))):
        data = mutated(dice, data)
    return list(split(dice, data)), dice.choice(
        ("half", "half", "half", "half", "close", "close", "reset", "reset", "wait")
    )


def split(dice: Random, data: bytes) -> Iterator[bytes]:
    places = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 0, 1, 3, 10))))
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[start:end]


async def play(gw: Gateway, number: int) -> bytes:
    """Send a stream; what was answered."""
    pieces, end = stream(number)
    async with RawClient(gw.port) as client:
        try:
            for piece in pieces:
                await client.send(piece)
                await asyncio.sleep(0)
            if end == "half":
                client.half_close()
        except OSError:  # closed by the server
            pass
        if end == "close":
            return b""
        if end == "reset":
            client.reset()
            return b""
        return await client.eof()


STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")


def judge(number: int, answered: bytes, statuses: Counter[int]) -> None:
    if not answered:
        return
    found = STATUS.match(answered)
    assert found, f"stream {number} was answered with {answered[:200]!r}"
    assert b"Traceback" not in answered, number
    seen = [int(status) for status in STATUS.findall(answered)]
    assert 500 not in seen, f"stream {number} was answered with {answered!r}"
    statuses.update(seen)


async def test_the_server_stays_healthy_after_arbitrary_bytes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="python_multipart")  # as the process has it
    # Waiting connections end by these timeouts.
    clocks = {"headerTimeoutSecs": 0.1, "bodyTimeoutSecs": 0.1, "keepAliveSecs": 0.1}
    server = {"corsOrigins": ["https://chat.example"], **clocks}
    async with Upstream() as up, Gateway(one_provider(up, server=server)) as gw:
        up.on(
            lambda request: (
                sse_answer(*chat_events("Hello"))
                if b'"stream":true' in request.body
                else json_answer(completion("Hello"))
            )
        )
        before = asyncio.all_tasks()
        statuses: Counter[int] = Counter()
        numbers = iter(range(STREAMS))

        async def client() -> None:
            for number in numbers:
                judge(number, await play(gw, number), statuses)

        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        assert {200, 400, 403, 404, 405, 408, 421, 431, 501} <= {*statuses}, statuses

        # No connection or buffer is left.
        listener, gateway = gw.app.listeners.api, gw.app.gateway
        assert gateway is not None
        await until(lambda: not listener.server.connections, "every connection to be gone")
        await until(lambda: not gw.app.metrics.in_flight, "every request to be settled")
        await until(lambda: not len(gateway._context.ticker), "every clock to have been stopped")
        assert listener.server.limiter.connections == 0
        assert gw.app.metrics.in_flight == 0
        assert gateway._context.budget.used == 0
        await within(_closed(up), "the provider's idle connections to be closed", lambda: up.connections[-1])
        await until(lambda: asyncio.all_tasks() <= before, "every task to have ended")

        # The provider got no malformed request.
        for received in [received for connection in up.connections for received in connection.requests]:
            assert (received.method, received.header("authorization")) == ("POST", "Bearer secret-key")
            assert received.target.partition("?")[0] in (
                "/v1/chat/completions",
                "/v1/embeddings",
                "/v1/audio/transcriptions",
            )
        assert not [line for line in gw.log_lines if '"level":"error"' in line or "Traceback" in line]
        assert caplog.records == []
        answer = await (await gw.client()).fetch("POST", "/v1/chat/completions", body=CHAT)
        assert answer.status == 200


async def _closed(up: Upstream) -> None:
    """The provider closes idle connections."""
    for connection in up.connections:
        if not connection.lost.is_set():
            connection._transport.close()
            await connection.lost.wait()
