"""zstd, as Codex compresses its requests: decoded in bounded pieces, whatever the cuts and whatever the bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.net import zstd
from proxy.net.codings import decoder_of
from proxy.net.inflate import PIECE, BadCompression
from tests.support import RawClient, Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider

library = zstd.zstd

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hello"}]}'
SENT_ON = BODY.replace(b'"m"', b'"up-model"')
LIMIT = 1024 * 1024


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion()))
        yield upstream


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up, server={"maxBodyMb": 1})) as gateway:
        yield gateway


def packed_as_codex(data: bytes) -> bytes:
    """Level 3, and no size in the frame's head: it is compressed as a stream."""
    packer = library.ZstdCompressor(3)
    packed: bytes = packer.compress(data) + packer.flush()
    return packed


def decoded(*pieces: bytes) -> bytes:
    decoder = decoder_of("zstd")
    return b"".join(out for piece in pieces for out in decoder.feed(piece))


@given(st.binary(max_size=5000), st.sets(st.integers(1, 5000), max_size=8))
def test_any_split_of_a_compressed_body_decodes_to_the_same_bytes(data: bytes, cuts: set[int]) -> None:
    small = packed_as_codex(data)
    marks = [0, *sorted(cut for cut in cuts if cut < len(small)), len(small)]
    decoder = decoder_of("zstd")
    assert b"".join(piece for a, b in pairwise(marks) for piece in decoder.feed(small[a:b])) == data
    assert decoder.finished
    assert not decoder.cut


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_a_truncated_body_is_never_finished(data: bytes, draw: st.DataObject) -> None:
    small = packed_as_codex(data)
    decoder = decoder_of("zstd")
    kept = small[: draw.draw(st.integers(1, len(small) - 1))]
    assert data.startswith(b"".join(decoder.feed(kept)))
    assert not decoder.finished
    assert decoder.cut


@given(st.binary(min_size=1, max_size=300))
def test_arbitrary_bytes_raise_only_bad_compression(junk: bytes) -> None:
    try:
        assert all(decoder_of("zstd").feed(junk))
    except BadCompression:
        pass


def test_an_empty_input_is_neither_finished_nor_cut() -> None:
    decoder = decoder_of("zstd")
    assert list(decoder.feed(b"")) == []
    assert not decoder.finished
    assert not decoder.cut


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 50 * PIECE])
def test_a_bomb_is_decoded_in_bounded_pieces_to_its_end(size: int) -> None:
    decoder = decoder_of("zstd")
    pieces = [len(piece) for piece in decoder.feed(packed_as_codex(bytes(size)))]
    assert sum(pieces) == size
    assert max(pieces) <= PIECE
    assert decoder.finished


def test_a_body_may_be_a_series_of_frames_some_of_which_are_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18\x05\x00\x00\x00aside"
    assert decoded(library.compress(b"one ") + skippable + library.compress(b"two"), skippable) == b"one two"


def test_a_body_has_a_bounded_number_of_frames() -> None:
    frame = library.compress(b"")
    assert decoded(frame * zstd.MAX_FRAMES) == b""
    with pytest.raises(BadCompression):
        decoded(frame * (zstd.MAX_FRAMES + 1))


@pytest.mark.parametrize("log", [zstd.WINDOW_LOG, zstd.WINDOW_LOG + 1])
def test_a_window_is_at_most_as_large_as_http_allows(log: int) -> None:
    packer = library.ZstdCompressor(options={library.CompressionParameter.window_log: log})
    size = 1 << (log + 1)
    packed = packer.compress(bytes(size)) + packer.flush()
    if log == zstd.WINDOW_LOG:
        assert len(decoded(packed)) == size
        return
    with pytest.raises(BadCompression, match="too much memory"):
        decoded(packed)


# -- as a client meets it -----------------------------------------------------------------------------


async def send(client: RawClient, packed: bytes, *, whole: bool = True, length: int = 0) -> None:
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    framing = f"Content-Length: {length or len(packed)}" if whole else "Transfer-Encoding: chunked"
    await client.send("\r\n".join([*lines, "Content-Encoding: zstd", framing, "", ""]).encode())
    if whole:
        await client.send(packed)
        return
    for byte in packed:
        await client.send(b"1\r\n" + bytes([byte]) + b"\r\n")
    await client.send(b"0\r\n\r\n")


@pytest.mark.parametrize("whole", [True, False])
async def test_a_zstd_body_is_decoded_for_the_provider(whole: bool, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await send(client, packed_as_codex(BODY), whole=whole)
    assert (await client.read_answer()).status == 200
    (request,) = up.requests
    assert request.body == SENT_ON
    assert request.header("content-encoding") is None
    assert request.header("content-length") == str(len(SENT_ON))


async def test_a_zstd_bomb_is_refused_at_the_limit(up: Upstream, gw: Gateway) -> None:
    packed = packed_as_codex(BODY + b" " * 64 * 1024 * 1024)
    client = await gw.client()
    await send(client, packed, length=len(packed) + 10)
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (413, "request_too_large")
    assert (await gw.settled())["bytes_in"] < LIMIT + 512 * 1024
    assert up.connections == []


@pytest.mark.parametrize("packed", [packed_as_codex(BODY)[:-1], BODY, packed_as_codex(BODY) + b"more", b"x"])
async def test_a_damaged_zstd_body_is_a_400(packed: bytes, up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    await send(client, packed)
    answer = await client.read_answer()
    assert (answer.status, answer.json["error"]["code"]) == (400, "content_encoding")
    assert up.connections == []
