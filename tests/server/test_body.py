"""Taking in a request body: bounded, in time, decoded, and asked for only when it is wanted."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from multidict import CIMultiDict

from proxy.errors import GatewayError
from proxy.net.budget import Budget
from proxy.server.body import TURN, BodyReader
from proxy.server.rare import weight_of
from proxy.server.request import Request
from tests.support import (
    PauseReading,
    RawClient,
    ResumeReading,
    Signal,
    Upstream,
    Wait,
    completion,
    json_answer,
    until,
    within,
)
from tests.support.gateway import Gateway, one_provider
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
BODY = json.dumps(CALL).encode()
SENT_ON = json.dumps(CALL | {"model": "up-model"}).encode()
LIMIT = 64 * 1024
LOW = {"maxBodyMb": LIMIT / (1024 * 1024)}
FILES = {"passthrough": ["POST /files"]}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up, server=LOW, provider=FILES)) as gw:
        yield gw


@pytest.fixture
async def hasty(up: Upstream) -> AsyncIterator[Gateway]:
    """A gateway that does not wait long for a body."""
    async with Gateway(one_provider(up, server={"bodyTimeoutSecs": 0.15}, provider=FILES)) as gw:
        yield gw
        assert budget(gw) == 0


def budget(gw: Gateway) -> int:
    assert gw.app.gateway is not None
    return gw.app.gateway._context.budget.used


def head(*lines: str, path: str = CHAT) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


async def expect_error(client: RawClient, status: int, code: str) -> None:
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


# -- what is there already ------------------------------------------------------------------------


class Asked:
    """As much of a Request as a body is read from."""

    def __init__(self, payload: StreamReader, headers: dict[str, str]) -> None:
        self.payload = payload
        self.headers = CIMultiDict(headers)
        self.rare = any(weight_of(name.encode()) for name in headers)


class Cautious(StreamReader):
    """Of another type than the parser's own: read by nothing but its methods."""


class Protocol(BaseProtocol):
    """Counts how often it is told to go on reading."""

    resumed = 0

    def resume_reading(self, resume_parser: bool = True) -> None:
        if self._reading_paused:
            self.resumed += 1
            self._reading_paused = False


def taken(kind: type[StreamReader], pieces: list[bytes], how: str, limit: int, room: int) -> tuple[Any, ...]:
    """What is taken, or how it is refused; what the reader and the budget say afterwards, and after the release."""
    loop = asyncio.get_running_loop()
    protocol = Protocol(loop)
    payload = kind(protocol, 2**16, loop=loop)
    for piece in pieces:
        payload.feed_data(piece)
    if how != "unfinished":
        payload.feed_eof()
    if how == "broken":
        payload.set_exception(RuntimeError("broken"))
    if how == "begun":
        payload.read_nowait(1)
    protocol._reading_paused = how == "paused"
    headers = {"identity": {"Content-Encoding": "identity"}, "coded": {"Content-Encoding": "gzip"}}.get(how, {})
    budget = Budget(room)
    reader = BodyReader(cast("Request", Asked(payload, headers)), limit=limit, timeout=1.0, budget=budget)
    found: bytes | str | None
    try:
        found = reader.read_now()
    except GatewayError as fault:
        found = fault.code
    held = budget.used, reader.held, reader.received, payload.at_eof(), protocol.resumed
    reader.release()
    return found, *held, budget.used, reader.held


@pytest.mark.parametrize(
    ("how", "pieces"),
    [
        (how, pieces)
        for how in ("whole", "unfinished", "broken", "begun", "paused", "identity", "coded")
        for pieces in ([], [b"{}"], [b"{", b"}"], [b"x" * 200], [b"x" * 300])
        if pieces or how != "begun"  # of nothing none can be read before
    ],
)
@pytest.mark.parametrize("room", [1000, 199, 1])
async def test_a_body_that_lies_there_as_one_piece_is_taken_as_the_reader_would_give_it(
    how: str, pieces: list[bytes], room: int
) -> None:
    assert taken(StreamReader, pieces, how, 250, room) == taken(Cautious, pieces, how, 250, room)


async def test_one_piece_is_taken_without_a_copy_and_counted_until_its_release() -> None:
    piece = b"".join([b"{", b"}"])
    found, used, held, received, over, resumed, *after = taken(StreamReader, [piece], "whole", 250, 1000)
    assert found is piece
    assert (used, held, received, over, resumed, after) == (2, 2, 2, True, 0, [0, 0])


async def test_a_piece_that_is_too_much_is_refused_by_its_own_limit_first() -> None:
    assert taken(StreamReader, [b"x" * 300], "whole", 250, 1)[0] == "request_too_large"
    assert taken(StreamReader, [b"x" * 200], "whole", 250, 1)[0] == "buffers_full"


def test_the_reader_keeps_its_pieces_where_they_are_taken_from() -> None:
    """Private names of aiohttp's: without them every body is read the long way, or none is."""
    assert {"_buffer", "_cursor", "_eof", "_exception", "_protocol"} <= set(StreamReader.__slots__)
    assert "_reading_paused" in BaseProtocol.__slots__


# -- size -----------------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    start = b'{"model":"m","messages":[],"user":"'
    return start + b"x" * (size - len(start) - 2) + b'"}'


async def test_a_body_of_exactly_the_limit_is_taken(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    assert (await client.fetch("POST", CHAT, body=padded(LIMIT))).status == 200
    assert len((await up.request()).body) == LIMIT + len("up-model") - len("m")


async def test_a_declared_length_beyond_the_limit_is_refused_before_a_byte_is_read(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(head(f"Content-Length: {LIMIT + 1}"))
    await expect_error(client, 413, "request_too_large")
    assert await client.eof() == b""
    assert (await gw.settled())["bytes_in"] == 0
    assert up.connections == []


async def test_a_chunked_body_beyond_the_limit_is_refused_where_it_passes_it(up: Upstream, gw: Gateway) -> None:
    """Its end never comes; waiting for it would be reading it all."""
    client = await gw.client()
    await client.send(head("Transfer-Encoding: chunked") + b"%x\r\n" % (100 * LIMIT) + b"x" * (LIMIT + 1))
    await expect_error(client, 413, "request_too_large")
    assert await client.eof() == b""
    assert up.connections == []


async def test_a_client_that_goes_on_sending_still_reads_its_413(gw: Gateway) -> None:
    client = await gw.client()
    await client.send(head(f"Content-Length: {200 * LIMIT}") + b"x" * (100 * LIMIT))
    answer = await client.read_answer()
    assert (answer.status, answer.header("connection")) == (413, "close")
    assert await client.eof() == b""


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/images/edits"])
async def test_the_limit_holds_for_forms_too(path: str, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(
        head("Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b", path=path)
        + b'20000\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
        + b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    )
    request = await up.head()
    await client.send(b"x" * LIMIT)
    await expect_error(client, 413, "request_too_large")
    await within(request.gone.wait(), "the provider's connection to end")
    assert not request.complete.is_set()


async def test_an_empty_body_is_told_as_no_json(gw: Gateway) -> None:
    client = await gw.client()
    for lines in ([], ["Content-Length: 0"]):
        await client.send(head(*lines))
        await expect_error(client, 400, "invalid_json")


async def test_a_body_may_come_byte_by_byte(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await client.send(head(f"Content-Length: {len(BODY)}"))
        for byte in BODY:
            await client.send(bytes([byte]))
        assert (await client.read_answer()).status == 200
        assert (await up.request()).body == SENT_ON


# -- Expect: 100-continue -------------------------------------------------------------------------

EXPECT = "Expect: 100-continue"


@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings", "/proxy/up/files"])
async def test_a_client_that_waits_for_it_is_told_to_go_on(path: str, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(head(EXPECT, f"Content-Length: {len(BODY)}", path=path))
    assert (await client.read_head()).status == 100
    await client.send(BODY)
    assert (await client.read_answer()).status == 200
    request = await up.request()
    assert request.body in (BODY, SENT_ON)
    assert request.header("expect") is None


async def test_the_interim_answer_comes_after_the_answer_before_it(up: Upstream, gw: Gateway) -> None:
    hold = asyncio.Event()
    up.queue([Wait(hold), *json_answer(completion())])
    client = await gw.client()
    await client.send(head(f"Content-Length: {len(BODY)}") + BODY + head(EXPECT, f"Content-Length: {len(BODY)}"))
    await up.request()
    hold.set()
    assert (await client.read_answer()).status == 200
    assert (await client.read_head()).status == 100
    await client.send(BODY)
    assert (await client.read_answer()).status == 200


@pytest.mark.parametrize(
    ("lines", "path", "status"),
    [
        ([f"Content-Length: {LIMIT + 1}"], CHAT, 413),
        (["Content-Length: 5", "Content-Encoding: br"], CHAT, 415),
        (["Content-Length: 5"], "/v1/nowhere", 404),
        (["Content-Length: 5"], "/v1/files", 404),
        (["Content-Length: 5"], "/v1/organization/users", 403),
        (["Content-Length: 5"], "/v1/../models", 400),
        (["Content-Length: 5"], "/v1/models", 405),
        (["Content-Length: 5", "Origin: https://evil.example"], CHAT, 403),
    ],
)
async def test_a_client_that_is_refused_is_not_told_to_go_on(
    lines: list[str], path: str, status: int, gw: Gateway
) -> None:
    """And its connection ends: whether a body or a request comes next, nobody could tell."""
    client = await gw.client()
    await client.send(head(EXPECT, *lines, path=path))
    answer = await client.read_answer()
    assert b" 100 " not in client.received
    assert (answer.status, answer.header("connection")) == (status, "close")
    assert await client.eof() == b""


# -- compressed bodies ----------------------------------------------------------------------------


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "GZIP": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "Deflate": raw_deflate(BODY),
    "identity": BODY,
}


@pytest.mark.parametrize("coding", PACKED)
async def test_a_compressed_body_is_decoded_for_the_provider(coding: str, up: Upstream, gw: Gateway) -> None:
    packed = PACKED[coding]
    client = await gw.client()
    await client.send(head(f"Content-Encoding: {coding}", f"Content-Length: {len(packed)}") + packed)
    assert (await client.read_answer()).status == 200
    request = await up.request()
    assert request.body == SENT_ON
    assert request.header("content-encoding") is None
    assert request.header("content-length") == str(len(SENT_ON))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_body_may_be_cut_anywhere(coding: str, up: Upstream, gw: Gateway) -> None:
    packed = PACKED[coding]
    client = await gw.client()
    await client.send(head(f"Content-Encoding: {coding}", "Transfer-Encoding: chunked"))
    for byte in packed:
        await client.send(b"1\r\n" + bytes([byte]) + b"\r\n")
    await client.send(b"0\r\n\r\n")
    assert (await client.read_answer()).status == 200
    assert (await up.request()).body == SENT_ON


async def test_gzip_in_several_members_is_one_body(up: Upstream, gw: Gateway) -> None:
    """RFC 1952 section 2.2."""
    packed = gzip.compress(BODY[:10]) + gzip.compress(BODY[10:])
    client = await gw.client()
    await client.send(head("Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed)
    assert (await client.read_answer()).status == 200
    assert (await up.request()).body == SENT_ON


async def test_a_compressed_form_is_decoded_for_the_provider(up: Upstream, gw: Gateway) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nsound\r\n'
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
    )
    packed = gzip.compress(form)
    client = await gw.client()
    kind = "Content-Type: multipart/form-data; boundary=b"
    await client.send(
        head(kind, "Content-Encoding: gzip", f"Content-Length: {len(packed)}", path="/v1/audio/transcriptions") + packed
    )
    assert (await client.read_answer()).status == 200
    request = await up.request()
    assert request.body == form.replace(b"\r\n\r\nm\r\n", b"\r\n\r\nup-model\r\n")
    assert request.header("content-encoding") is None


async def test_under_passthrough_a_compressed_body_goes_on_as_it_came(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(
        head("Content-Encoding: br", "Content-Length: 5", "Content-Type: a/b", path="/proxy/up/files")
        + b"\x01\x02\x03\x04\x05"
    )
    assert (await client.read_answer()).status == 200
    request = await up.request()
    assert request.body == b"\x01\x02\x03\x04\x05"
    assert request.header("content-encoding") == "br"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_is_refused_where_it_passes_the_limit(coding: str, up: Upstream, gw: Gateway) -> None:
    """64 MB of blanks in 64 KB, of which the end never comes."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS + (16 if coding == "gzip" else 0))
    packed = packer.compress(BODY + b" " * 64 * 1024 * 1024)
    assert len(packed) < LIMIT
    client = await gw.client()
    await client.send(head(f"Content-Encoding: {coding}", f"Content-Length: {len(packed) + 10}") + packed)
    await expect_error(client, 413, "request_too_large")
    assert (await gw.settled())["bytes_in"] < LIMIT + 512 * 1024
    assert up.connections == []


async def test_a_compressed_body_that_decodes_to_nothing_is_bounded_as_it_comes(up: Upstream, gw: Gateway) -> None:
    """Stored blocks without content (RFC 1951 3.2.4), five bytes each."""
    start = gzip.compress(b"")[:10]
    packed = start + b"\x00\x00\x00\xff\xff" * (LIMIT // 5)
    client = await gw.client()
    await client.send(head("Content-Encoding: gzip", "Transfer-Encoding: chunked"))
    await client.send(b"%x\r\n%b\r\n" % (len(packed), packed))
    await expect_error(client, 413, "request_too_large")
    assert up.connections == []


async def test_decoding_lets_the_rest_of_the_loop_have_its_turn() -> None:
    loop = asyncio.get_running_loop()
    payload = StreamReader(Protocol(loop), 2**16, loop=loop)
    payload.feed_data(gzip.compress(bytes(20 * TURN)))
    payload.feed_eof()
    asked = cast("Request", Asked(payload, {"Content-Encoding": "gzip"}))
    reader = BodyReader(asked, limit=100 * TURN, timeout=1.0, budget=Budget(100 * TURN))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert len(await reader.read_all()) == 20 * TURN
    counting.cancel()
    assert turns >= 10


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(BODY)[:-1],
        gzip.compress(BODY)[:15],
        b"",
        BODY,
        gzip.compress(BODY)[:-8] + b"\0" * 8,
        gzip.compress(BODY) + b"more",
        gzip.compress(BODY) + gzip.compress(b"more")[:-3],
    ],
    ids=["cut", "cut early", "empty", "plain", "checksum", "more", "half a member"],
)
async def test_a_damaged_body_is_a_400(packed: bytes, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(head("Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed)
    await expect_error(client, 400, "content_encoding")
    assert up.connections == []


async def test_bytes_behind_a_deflated_body_are_a_400(gw: Gateway) -> None:
    packed = zlib.compress(BODY) + BODY
    client = await gw.client()
    await client.send(head("Content-Encoding: deflate", f"Content-Length: {len(packed)}") + packed)
    await expect_error(client, 400, "content_encoding")


@pytest.mark.parametrize("coding", ["br", "gzip, zstd", "gzip, gzip", "gzip, identity", "compress", "\xe9", "chunked"])
async def test_other_codings_are_a_415(coding: str, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(
        f"POST {CHAT} HTTP/1.1\r\nHost: a.localhost\r\nContent-Encoding: {coding}\r\nContent-Length: 1\r\n\r\nx".encode()
    )
    await expect_error(client, 415, "content_encoding")
    assert up.connections == []


# -- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [["Content-Length: 100"], ["Transfer-Encoding: chunked"]])
async def test_a_body_that_does_not_come_is_a_408(lines: list[str], up: Upstream, hasty: Gateway) -> None:
    client = await hasty.client()
    await client.send(head(*lines))
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (408, "body_timeout")
    assert answer.header("connection") == "close"
    assert await client.eof() == b""
    assert (await hasty.settled())["error"] == "body_timeout"
    assert up.connections == []


async def test_a_body_that_trickles_is_a_408(hasty: Gateway) -> None:
    client = await hasty.client()
    await client.send(head("Content-Length: 10000"))

    async def trickle() -> None:
        while True:
            await client.send(b" ")
            await asyncio.sleep(0.02)

    trickling = asyncio.ensure_future(trickle())
    try:
        await expect_error(client, 408, "body_timeout")
    finally:
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)


async def test_a_long_body_may_take_longer_than_a_short_one(up: Upstream) -> None:
    """16 KB earn 16 s: a slow line is no stopped client."""
    async with Gateway(one_provider(up, server={"bodyTimeoutSecs": 0.1})) as gw:
        client = await gw.client()
        body = padded(32 * 1024)
        await client.send(head(f"Content-Length: {len(body)}") + body[:16384])
        await asyncio.sleep(0.25)
        await client.send(body[16384:])
        assert (await client.read_answer()).status == 200


async def test_an_upload_that_stops_is_a_408_and_its_provider_is_left(up: Upstream, hasty: Gateway) -> None:
    client = await hasty.client()
    await client.send(head("Content-Length: 100", path="/proxy/up/files") + b"x" * 50)
    request = await up.head()
    await expect_error(client, 408, "body_timeout")
    await within(request.gone.wait(), "the provider's connection to end")
    assert not request.complete.is_set()


async def test_an_upload_that_the_provider_does_not_take_is_not_the_clients_fault(up: Upstream) -> None:
    """The body's clock counts what we waited for the client, not what we made it wait."""
    paused, go_on = asyncio.Event(), asyncio.Event()
    stop: list[Step | bytes] = [PauseReading(), Signal(paused), Wait(go_on), ResumeReading()]
    up.on_head(lambda request: [*stop, Wait(request.complete), *json_answer(completion())])
    async with Gateway(one_provider(up, server={"bodyTimeoutSecs": 0.15}, provider=FILES)) as gw:
        client = await gw.client()
        size = 20_000_000
        request = head(f"Content-Length: {size}", path="/proxy/up/files") + b"x" * size
        sending = asyncio.ensure_future(client.send(request))
        await within(paused.wait(), "the provider to stop reading")
        await asyncio.sleep(0.4)  # beyond the body's clock
        assert not sending.done()
        go_on.set()
        await sending
        assert (await client.read_answer()).status == 200
        assert len((await up.request()).body) == size


# -- leaving --------------------------------------------------------------------------------------


async def test_every_refusal_gives_back_what_was_held(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await client.send(head("Transfer-Encoding: chunked") + b"4000\r\n" + b"x" * 0x4000)
    await until(lambda: budget(gw) == 0x4000, "the first part of the body to be held")
    client.close()
    assert (await gw.settled())["outcome"] == "client_gone"
    assert budget(gw) == 0


async def test_a_stop_while_a_body_is_read_ends_it_with_a_503(up: Upstream) -> None:
    async with Gateway(one_provider(up, server={"drainSecs": 0.05})) as gw:
        client = await gw.client()
        await client.send(head("Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        await until(lambda: budget(gw), "the body to be begun")
        stopping = asyncio.ensure_future(gw.app.stop())
        head_told = await client.read_head()
        await client.send(b"5\r\nhello\r\n" * 100)  # it had not heard yet
        assert (head_told.status, head_told.header("connection")) == (503, "close")
        assert b"shutting down" in await client.read_body()
        await within(stopping, "the gateway to stop")
        assert (await gw.settled())["outcome"] == "cancelled"
        assert up.connections == []
