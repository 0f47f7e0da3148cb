"""The verification of streams detects every kind of corruption."""

from __future__ import annotations

from zlib import crc32

import pytest

from tests.bench.client import Chunks
from tests.bench.traffic import DONE, FINISH, PREFIX, SUFFIX, USAGE, frame
from tests.bench.verify import Broken, Samples, Stream


def events(count: int) -> list[bytes]:
    """A stream as the mock upstream sends it: token n was sent at n * 1000 ns, the first was held for 400 ns."""
    crc, made = 0, []
    for number in range(1, count + 1):
        token = b"@%06d %016x %08x " % (number, number * 1000, 400 if number == 1 else 0)
        crc = crc32(token, crc)
        made.append(PREFIX + token + b"%08x;" % crc + SUFFIX)
    return [*made, FINISH, DONE]


def check(pieces: list[bytes], count: int, verbatim: bool = True) -> Samples:
    samples = Samples()
    stream = Stream(count, verbatim, samples)
    for piece in pieces:
        stream.feed(piece, 0)
    stream.end()
    return samples


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 100_000])
def test_a_complete_stream_passes_under_every_split(size: int) -> None:
    body = b"".join(events(20))
    assert check([body[at : at + size] for at in range(0, len(body), size)], 20).tokens == 20


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("a token is missing", lambda made: made[:3] + made[4:]),
        ("two tokens changed places", lambda made: [*made[:3], made[4], made[3], *made[5:]]),
        ("a token came twice", lambda made: [*made[:4], made[3], *made[4:]]),
        ("a token was changed", lambda made: [*made[:3], made[3].replace(b"00fa0", b"00fa1"), *made[4:]]),
        ("a byte beside the token was changed", lambda made: [*made[:3], made[3].replace(b"gpt", b"GPT"), *made[4:]]),
        ("the end is missing", lambda made: made[:-1]),
        ("the finish reason is missing", lambda made: [*made[:-2], made[-1]]),
        ("the last token is missing", lambda made: [*made[:-3], *made[-2:]]),
        ("an event was added in between", lambda made: [*made[:3], USAGE, *made[3:]]),
        ("an event was added at the end", lambda made: [*made[:-1], USAGE, made[-1]]),
        ("a comment was added", lambda made: [*made[:3], b": ping\n\n", *made[3:]]),
        ("bytes follow", lambda made: [*made, b"data"]),
    ],
)
def test_a_corrupted_stream_is_broken(name: str, spoil: object) -> None:
    assert callable(spoil)
    spoiled = spoil(events(10))
    assert spoiled != events(10), name
    with pytest.raises(Broken):
        check(spoiled, 10)


def test_a_rewriting_proxy_may_change_everything_but_the_tokens() -> None:
    rewritten = [event.replace(b'"usage":null', b'"usage": null, "x": 1') for event in events(10)]
    assert check(rewritten, 10, verbatim=False).tokens == 10
    with pytest.raises(Broken):
        check(rewritten, 10, verbatim=True)
    with pytest.raises(Broken):
        check(rewritten[1:], 10, verbatim=False)
    with pytest.raises(Broken):
        check(rewritten[:-1], 10, verbatim=False)


def test_added_latency_excludes_the_upstream_time() -> None:
    samples = Samples()
    samples.recording = True
    stream = Stream(3, True, samples)
    stream.requested_at = 100
    made = events(3)
    stream.feed(made[0], 1200)  # sent at 1000, held 400 before: 1200 - 100 - 400 are on us
    stream.feed(made[1], 2300)  # sent at 2000: 300 late where the first was 200 late
    stream.feed(made[2], 3250)  # sent at 3000: 50 sooner than the one before
    assert list(samples.first) == [700]
    assert list(samples.gaps) == [100, -50]
    assert samples.longest == 1100


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000])
def test_chunk_framing_is_removed_under_every_split(size: int) -> None:
    data = frame(b"a" * 20) + frame(b"\r\n0\r\n") + frame(b"c") + b"0\r\n\r\n"
    chunks = Chunks()
    body = b"".join(chunks.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert body == b"a" * 20 + b"\r\n0\r\n" + b"c"
    assert chunks.ended


@pytest.mark.parametrize("data", [b"x\r\nabc\r\n", b"3\r\nabcd\r\n", b"0\r\n\r\nmore"])
def test_invalid_chunk_framing_is_broken(data: bytes) -> None:
    with pytest.raises(Broken):
        Chunks().feed(data)
