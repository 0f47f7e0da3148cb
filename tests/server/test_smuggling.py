"""What a client could send that two servers would read differently: refused, closed, and nothing goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support import Upstream, completion, json_answer, until, within
from tests.support.gateway import Gateway, one_provider

CALL = b'{"model":"m","messages":[]}'
LINE = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SIZED = LINE + b"Content-Length: %d\r\n" % len(CALL)
SMUGGLED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Smuggled: yes\r\nContent-Length: 27\r\n\r\n" + CALL
)


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up)) as gw:
        yield gw


def chunked(size: bytes, end: bytes = b"\r\n0\r\n\r\n") -> bytes:
    """The call as one chunk whose size line is ``size``."""
    return LINE + b"Transfer-Encoding: chunked\r\n\r\n" + size + CALL + end


def coded(lines: bytes) -> bytes:
    """The call well chunked, under these header lines."""
    return LINE + lines + b"\r\n1b\r\n" + CALL + b"\r\n0\r\n\r\n"


def with_line(line: bytes) -> bytes:
    return SIZED + line + b"\r\n" + CALL


AMBIGUOUS = {
    "Content-Length and Transfer-Encoding": coded(b"Content-Length: 27\r\nTransfer-Encoding: chunked\r\n"),
    "Transfer-Encoding and Content-Length": coded(b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"),
    "two lengths that differ": with_line(b"Content-Length: 5\r\n"),
    "two lengths that agree": with_line(b"Content-Length: 27\r\n"),
    "a list of lengths": LINE + b"Content-Length: 27, 27\r\n\r\n" + CALL,
    "a signed length": LINE + b"Content-Length: +27\r\n\r\n" + CALL,
    "a negative length": LINE + b"Content-Length: -1\r\n\r\n" + CALL,
    "a length in hex": LINE + b"Content-Length: 0x1b\r\n\r\n" + CALL,
    "a length with an underscore": LINE + b"Content-Length: 2_7\r\n\r\n" + CALL,
    "a length beyond 64 bits": LINE + b"Content-Length: 18446744073709551643\r\n\r\n" + CALL,
    "an empty length": LINE + b"Content-Length: \r\n\r\n" + CALL,
    "an unknown coding": coded(b"Transfer-Encoding: xchunked\r\n"),
    "identity as a coding": SIZED + b"Transfer-Encoding: identity\r\n\r\n" + CALL,
    "a coding that is not the last": coded(b"Transfer-Encoding: chunked, gzip\r\n"),
    "a coding before chunked": coded(b"Transfer-Encoding: gzip, chunked\r\n"),
    "chunked twice in a line": coded(b"Transfer-Encoding: chunked, chunked\r\n"),
    "chunked in two lines": coded(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    "chunked, then identity": coded(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
    "a vertical tab before chunked": coded(b"Transfer-Encoding: \x0bchunked\r\n"),
    "an empty coding": coded(b"Transfer-Encoding: \r\n"),
    "chunked in HTTP/1.0": coded(b"Transfer-Encoding: chunked\r\n").replace(b"1.1", b"1.0", 1),
    "chunked in a kept HTTP/1.0 connection": coded(b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n").replace(
        b"1.1", b"1.0", 1
    ),
    "a coding of nothing beside a length": LINE + b"Transfer-Encoding: \r\nContent-Length: 27\r\n\r\n" + CALL,
    "an empty coding without a length": LINE + b"Transfer-Encoding:\r\n\r\n",
    "an empty coding before another": LINE + b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an empty coding behind another": LINE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n",
    "bare LF throughout": with_line(b"").replace(b"\r\n", b"\n"),
    "bare LF after one line": with_line(b"X: y\n"),
    "bare LF for the blank line": SIZED + b"\n" + CALL,
    "bare CR within a value": with_line(b"X: y\rTransfer-Encoding: chunked\r\n"),
    "a folded line": with_line(b"X: y\r\n z\r\n"),
    "a folded line with a tab": with_line(b"X: y\r\n\tTransfer-Encoding: chunked\r\n"),
    "a first line that is folded": LINE.replace(b"\r\nHost", b"\r\n Host") + b"Content-Length: 27\r\n\r\n" + CALL,
    "a blank before a colon": with_line(b"X : y\r\n"),
    "a blank before the colon of the length": LINE + b"Content-Length : 27\r\n\r\n" + CALL,
    "a blank before the colon of the coding": coded(b"Transfer-Encoding : chunked\r\n"),
    "NUL within a value": with_line(b"X: a\0b\r\n"),
    "an empty name": with_line(b": y\r\n"),
    "a line without a colon": with_line(b"Xy\r\n"),
    "a name that is no token": with_line(b"X(y): z\r\n"),
    "a name beyond ASCII": with_line("Xé: z\r\n".encode()),
    "two hosts": with_line(b"Host: evil.example\r\n"),
    "no host": LINE.replace(b"Host", b"Hast") + b"Content-Length: 27\r\n\r\n" + CALL,
    "a chunk size with 0x": chunked(b"0x1b\r\n"),
    "a negative chunk size": chunked(b"-1b\r\n"),
    "a signed chunk size": chunked(b"+1b\r\n"),
    "a chunk size beyond 64 bits": chunked(b"1000000000000001b\r\n"),
    "a chunk size with an underscore": chunked(b"0_1b\r\n"),
    "a chunk size after a blank": chunked(b" 1b\r\n"),
    "a chunk size before a blank": chunked(b"1b \r\n"),
    "an empty chunk size": chunked(b"\r\n"),
    "bare LF after a chunk size": chunked(b"1b\n"),
    "bare LF within a chunk extension": chunked(b"1b;a\nb\r\n"),
    "bare LF after a chunk": chunked(b"1b\r\n", b"\n0\r\n\r\n"),
    "a chunk longer than its size": chunked(b"1b\r\n", b"GET /\r\n0\r\n\r\n"),
    "a chunk shorter than its size": chunked(b"1d\r\n"),
    "a trailer with a blank before the colon": chunked(b"1b\r\n", b"\r\n0\r\nX : y\r\n\r\n"),
    "a length among the trailers": chunked(b"1b\r\n", b"\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "a tab in the request line": with_line(b"").replace(b"POST ", b"POST\t"),
    "HTTP/2 by guess": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version that does not exist": with_line(b"").replace(b"1.1", b"1.2", 1),
    "a method in lower case": with_line(b"").replace(b"POST", b"post", 1),
    "a path beyond ASCII": with_line(b"").replace(b"/v1", "/é".encode(), 1),
    "no HTTP at all": b"\x00\x01\x02 hello\r\n\r\n",
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


def assert_refusal(answer_status: int, body: dict[str, object]) -> None:
    assert answer_status in (400, 501)
    assert set(body) == {"error"}
    error = body["error"]
    assert isinstance(error, dict)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_an_ambiguous_request_is_refused_and_its_connection_closed(raw: bytes, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(raw + SMUGGLED)
    answer = await client.read_answer()
    assert_refusal(answer.status, answer.json)
    assert answer.header("connection") == "close"
    assert await client.eof() == b"", "something behind the refused request was answered too"
    assert up.connections == []


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_it_makes_no_difference_how_the_network_cuts_an_ambiguous_request(
    raw: bytes, up: Upstream, gw: Gateway
) -> None:
    client = await gw.client()
    for cut in range(0, len(raw), 7):
        try:
            await client.send(raw[cut : cut + 7])
        except ConnectionError:  # refused before its end
            break
    answer = await client.read_answer()
    assert_refusal(answer.status, answer.json)
    assert await client.eof() == b""
    assert up.connections == []


@pytest.mark.parametrize(
    "rest",
    [b"\r\nzz\r\n", b"\r\n-1\r\n", b"XX", b"\r\n0\r\nContent-Length: 5\r\n\r\n"],
    ids=["size", "sign", "end", "trailer"],
)
async def test_a_body_that_goes_wrong_after_its_head_was_accepted_is_refused_at_once(
    rest: bytes, up: Upstream, gw: Gateway
) -> None:
    client = await gw.client()
    await client.send(LINE + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + CALL[:5])
    assert gw.app.serving is not None
    await until(gw.app.serving._running.__len__, "the request to be begun")
    await client.send(rest + SMUGGLED)
    answer = await client.read_answer()
    assert_refusal(answer.status, answer.json)
    assert answer.header("connection") == "close"
    assert answer.json["error"]["code"] == "malformed_request"
    assert await client.eof() == b""
    assert up.connections == []
    assert (await gw.settled())["error"] == "malformed_request"


async def test_an_upload_that_goes_wrong_never_looks_whole_to_the_provider(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider={"passthrough": ["POST /files"]})) as gw:
        client = await gw.client()
        await client.send(
            b"POST /proxy/up/files HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        )
        request = await up.head()
        await client.send(b"zz\r\n" + SMUGGLED)
        assert (await client.read_answer()).status == 400
        assert await client.eof() == b""
        await within(request.gone.wait(), "the connection to the provider to end")
        assert not request.complete.is_set()
        assert len(up.requests) == 1


async def test_bytes_behind_a_body_are_the_next_request_and_not_a_part_of_it(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(SIZED + b"\r\n" + CALL + SMUGGLED)
    assert (await client.read_answer()).status == 200
    assert (await client.read_answer()).status == 200
    assert [bytes(request.body) for request in up.requests] == [b'{"model":"up-model","messages":[]}'] * 2


async def test_no_line_of_a_client_can_end_a_line_of_the_request_to_the_provider(up: Upstream, gw: Gateway) -> None:
    """The values pass the parser; only escapes and blanks are in them."""
    client = await gw.client()
    await client.send(
        SIZED
        + b"OpenAI-Beta: a%0d%0aX-Injected: 1\r\nX-Title: \\r\\nX-Injected: 1\r\nX-Request-Id: a b\r\n"
        + b"Accept-Language: \xc3\xa9\xff\x85\r\n\r\n"
        + CALL
    )
    assert (await client.read_answer()).status == 200
    request = await up.request()
    assert request.header("x-injected") is None
    assert request.header("openai-beta") == "a%0d%0aX-Injected: 1"


async def test_a_query_cannot_end_the_request_line_to_the_provider(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch("POST", "/v1/chat/completions?a=%0d%0aX:%20y&b=c", body=CALL)
    assert answer.status == 200
    assert (await up.request()).target == "/v1/chat/completions?a=%0d%0aX:%20y&b=c"


@pytest.mark.parametrize("raw", [coded(b"Transfer-Encoding: chunked\r\n"), coded(b"transfer-encoding: CHUNKED\r\n")])
async def test_what_is_well_chunked_is_taken(raw: bytes, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(raw)
    assert (await client.read_answer()).status == 200
    assert (await up.request()).header("content-length") == "34"


async def test_chunk_extensions_and_trailers_are_left_behind(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(chunked(b'1b;name="value"\r\n', b"\r\n0\r\nX-Title: trailing\r\n\r\n"))
    assert (await client.read_answer()).status == 200
    request = await up.request()
    assert bytes(request.body) == b'{"model":"up-model","messages":[]}'
    assert request.header("x-title") is None
