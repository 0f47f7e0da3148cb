"""What comes from a service, and what the client gets of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BrokenAnswer, ClientGone, ConnectionBroken
from tests.services.relay.rig import OK, VIA, RelayRig

CHUNKED = b"Transfer-Encoding: chunked\r\n"
HELLO = OK + b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


async def relayed(*reads: bytes, closes: bool = False, **options: Any) -> tuple[RelayRig, BaseException | None]:
    """The request after its answer came in these reads."""
    rig = RelayRig(**options)
    rig.relayed.run()
    line = rig.asked
    line.read(*reads)
    if closes:
        line.close()
    return rig, await rig.over()


def body_of(answer: bytes) -> bytes:
    """The body of an answer, without its framing."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if CHUNKED.strip() not in head:
        return rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        body += rest[:length]
        rest = rest[length + 2 :]
    return body


async def test_a_plain_answer_in_one_read_is_one_write() -> None:
    rig = RelayRig()
    writes: list[bytes] = []
    rig.client.write = writes.append  # type: ignore[assignment,method-assign]
    rig.relayed.run()
    rig.asked.read(HELLO)
    assert writes == [OK + b"Content-Type: text/plain\r\n" + VIA + b"Content-Length: 5\r\n\r\nhello"]
    assert await rig.over() is None
    assert (len(rig.ticker), len(rig.pool.released), rig.request.flow) == (0, 1, None)


async def test_the_request_goes_out_with_a_host_of_the_address() -> None:
    rig = RelayRig("a")
    rig.relayed.run()
    assert rig.asked.sent == b"GET /x HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"


async def test_a_head_goes_on_before_its_body() -> None:
    rig = RelayRig()
    rig.relayed.run()
    line = rig.asked
    line.read(OK + b"Content-Length: 5\r\n\r\n")
    assert rig.answer == OK + VIA + b"Content-Length: 5\r\n\r\n"
    line.read(b"he", b"llo")
    assert rig.answer.endswith(b"\r\n\r\nhello")
    assert await rig.over() is None


async def test_the_head_of_a_stream_goes_on_before_its_first_chunk() -> None:
    rig = RelayRig()
    rig.relayed.run()
    line = rig.asked
    line.read(OK + CHUNKED + b"\r\n")
    assert rig.answer == OK + VIA + CHUNKED + b"\r\n"
    line.read(b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n")
    assert rig.answer.endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert await rig.over() is None
    assert rig.reply.bytes_out == 5


async def test_a_chunk_that_comes_alone_takes_the_fast_lane() -> None:
    rig = RelayRig()
    rig.relayed.run()
    line = rig.asked
    line.read(OK + CHUNKED + b"\r\n3\r\nabc\r\n")
    parsed: list[bytes] = []
    line.connection._parser.feed = parsed.append  # type: ignore[assignment]
    line.read(b"2\r\nde\r\n", b"1\r\nf\r\n")
    assert parsed == []
    assert rig.answer.endswith(b"3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n")
    assert rig.reply.bytes_out == 6
    rig.relayed.finish()


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_without_a_body_ends_with_its_head(status: bytes) -> None:
    rig, error = await relayed(b"HTTP/1.1 %b\r\nETag: x\r\n\r\n" % status)
    assert (rig.answer, error) == (b"HTTP/1.1 %b\r\nETag: x\r\n%b\r\n" % (status, VIA), None)


async def test_a_304_keeps_the_length_of_what_it_stands_for() -> None:
    rig, _ = await relayed(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n")
    assert rig.answer == b"HTTP/1.1 304 Not Modified\r\n" + VIA + b"Content-Length: 7\r\n\r\n"


async def test_head_keeps_the_length_that_get_would_have() -> None:
    rig, error = await relayed(OK + b"Content-Length: 5\r\n\r\n", method="HEAD")
    assert (rig.answer, error) == (OK + VIA + b"Content-Length: 5\r\n\r\n", None)
    assert rig.reply.bytes_out == 0


async def test_an_empty_body_is_whole() -> None:
    rig, error = await relayed(OK + b"Content-Length: 0\r\n\r\n")
    assert (rig.answer, error) == (OK + VIA + b"Content-Length: 0\r\n\r\n", None)


async def test_a_body_that_ends_with_the_connection_is_chunked_for_the_client() -> None:
    rig, error = await relayed(OK + b"\r\nabc", b"de", closes=True)
    assert (body_of(rig.answer), error) == (b"abcde", None)
    assert rig.answer.endswith(b"0\r\n\r\n")


async def test_a_chunked_body_ends_with_the_connection_for_http10() -> None:
    rig, error = await relayed(OK + CHUNKED + b"\r\n3\r\nabc\r\n", b"0\r\n\r\n", http10=True)
    assert rig.answer == OK + VIA + b"Connection: close\r\n\r\nabc"
    assert (error, rig.reply.keep_alive) == (None, False)


async def test_trailers_pass_after_a_chunked_body() -> None:
    rig, _ = await relayed(OK + CHUNKED + b"Trailer: Digest\r\n\r\n3\r\nabc\r\n", b"0\r\nDigest: x\r\nHost: y\r\n\r\n")
    assert rig.answer.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\nDigest: x\r\n\r\n")
    assert b"Trailer: Digest\r\n" in rig.answer


async def test_trailers_pass_even_without_a_body() -> None:
    rig, _ = await relayed(OK + CHUNKED + b"\r\n0\r\nDigest: x\r\n\r\n")
    assert rig.answer == OK + VIA + CHUNKED + b"\r\n0\r\nDigest: x\r\n\r\n"


async def test_trailers_are_dropped_for_http10() -> None:
    rig, _ = await relayed(OK + CHUNKED + b"\r\n3\r\nabc\r\n0\r\nDigest: x\r\n\r\n", http10=True)
    assert rig.answer.endswith(b"\r\n\r\nabc")


async def test_early_hints_go_on_and_a_100_does_not() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n"
    rig, _ = await relayed(b"HTTP/1.1 100 Continue\r\n\r\n" + hints, HELLO)
    assert rig.answer.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    rig, _ = await relayed(hints + HELLO, http10=True)
    assert rig.answer.startswith(OK)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: +5\r\n",
        b"A: b\r\n c\r\nContent-Length: 5\r\n",
    ],
)
async def test_an_answer_with_ambiguous_framing_is_refused(head: bytes) -> None:
    rig, error = await relayed(OK + head + b"\r\nhello", method="POST")
    assert isinstance(error, BrokenAnswer)
    assert (rig.answer, rig.lines["a"].wire.aborted) == (b"", True)


async def test_a_body_that_breaks_off_is_no_whole_answer() -> None:
    rig, error = await relayed(OK + b"Content-Length: 5\r\n\r\nhel", closes=True)
    assert isinstance(error, ConnectionBroken)
    assert rig.answer.endswith(b"hel")
    assert not rig.reply.ended


async def test_a_slow_client_pauses_its_service() -> None:
    rig = RelayRig()
    rig.relayed.run()
    line = rig.asked
    line.read(OK + b"Content-Length: 5\r\n\r\nh")
    rig.relayed.pause()
    assert line.wire.paused
    rig.relayed.resume()
    assert not line.wire.paused
    rig.relayed.pause()
    line.read(b"ello")  # was on its way
    assert not line.wire.paused
    assert await rig.over() is None


async def test_a_client_that_leaves_ends_the_request_to_the_service() -> None:
    rig = RelayRig()
    rig.relayed.run()
    line = rig.asked
    rig.relayed.client_gone()
    assert line.wire.aborted
    assert isinstance(await rig.over(), ClientGone)
    address = rig.addresses[0]
    assert (address.in_flight, address.failures, address.requests) == (0, 0, 1)


async def test_a_connection_that_ends_early_is_not_used_again() -> None:
    rig, _ = await relayed(OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
    assert not rig.pool.released[0].keep_alive


ANSWERS = [
    HELLO,
    OK + b"Content-Length: 0\r\n\r\n",
    OK + CHUNKED + b"\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n1\r\n\n\r\n0\r\n\r\n",
    OK + CHUNKED + b"\r\n3;x=y\r\nabc\r\n003\r\ndef\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    OK + CHUNKED + b"Content-Encoding: br\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n",
]


@given(st.sampled_from(ANSWERS), st.data(), st.booleans())
def test_every_split_of_an_answer_gives_the_client_the_same(answer: bytes, data: st.DataObject, http10: bool) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1), max_size=8)))
    reads = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]

    async def compare() -> None:
        whole, _ = await relayed(answer, http10=http10)
        split, error = await relayed(*reads, http10=http10)
        assert error is None
        assert body_of(_last(split.answer)) == body_of(_last(whole.answer))
        assert _plain(split.answer) == _plain(whole.answer)
        assert split.reply.bytes_out == whole.reply.bytes_out
        assert split.reply.ended

    asyncio.run(compare())


def _plain(answer: bytes) -> bytes:
    """Heads and trailers, without the body and its chunks."""
    start = answer.rindex(b"HTTP/1.1 ")
    head, _, rest = answer[start:].partition(b"\r\n\r\n")
    return answer[:start] + head + rest[rest.rindex(b"0\r\n") :] if CHUNKED.strip() in head else answer[:start] + head


def _last(answer: bytes) -> bytes:
    """Without interim responses."""
    return answer[answer.rindex(b"HTTP/1.1 ") :]
