"""The verification of streams detects every kind of corruption."""

from __future__ import annotations

from zlib import crc32

import pytest

from tests.bench.client import Chunks
from tests.bench.dialects import CHAT, DIALECTS, MESSAGES
from tests.bench.traffic import Events, frame
from tests.bench.verify import Broken, Samples, Stream

STREAMS = {
    **{name: traffic.text for name, traffic in DIALECTS.items()},
    **{f"{name} calls": traffic.calls for name, traffic in DIALECTS.items() if traffic.calls is not None},
}
each_stream = pytest.mark.parametrize("kind", STREAMS.values(), ids=list(STREAMS))


def events(count: int, kind: Events = CHAT.text) -> list[bytes]:
    """A stream as the mock upstream sends it: token n was sent at n * 1000 ns, the first was held for 400 ns.

    What follows the last token is two items, of which the last is the terminal event. The first may be empty.
    """
    crc, made = 0, []
    for number in range(1, count + 1):
        token = b"@%06d %016x %08x " % (number, number * 1000, 400 if number == 1 else 0)
        crc = crc32(token, crc)
        made.append(kind.prefix + token + b"%08x;" % crc + kind.suffix)
    made[0] = kind.before + made[0]
    return [*made, kind.after[: -len(kind.terminal)], kind.terminal]


def check(pieces: list[bytes], count: int, kind: Events = CHAT.text, sent: Events | None = None) -> Samples:
    samples = Samples()
    stream = Stream(kind, count, samples, sent)
    for piece in pieces:
        stream.feed(piece, 0)
    stream.end()
    return samples


@each_stream
@pytest.mark.parametrize("size", [1, 7, 100, 1000, 100_000])
def test_a_complete_stream_passes_under_every_split(size: int, kind: Events) -> None:
    body = b"".join(events(20, kind))
    assert check([body[at : at + size] for at in range(0, len(body), size)], 20, kind).tokens == 20


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
        ("an event was added in between", lambda made: [*made[:3], CHAT.text.usage, *made[3:]]),
        ("an event was added at the end", lambda made: [*made[:-1], CHAT.text.usage, made[-1]]),
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


@each_stream
@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("the end is missing", lambda made: made[:-1]),
        ("a token is missing", lambda made: made[:3] + made[4:]),
        ("a byte beside the token was changed", lambda made: [*made[:3], made[3].replace(b"index", b"INDEX"), *made[4:]]),
        ("the end came twice", lambda made: [*made, made[-1]]),
    ],
)  # fmt: skip
def test_a_corrupted_stream_is_broken_in_every_dialect(name: str, spoil: object, kind: Events) -> None:
    assert callable(spoil)
    with pytest.raises(Broken):
        check(spoil(events(10, kind)), 10, kind)


def test_events_before_the_first_token_are_verified() -> None:
    made = events(10, MESSAGES.text)
    begin = MESSAGES.text.before
    for first in (made[0][len(begin) :], begin + made[0], made[0].replace(b'"output_tokens":1', b'"output_tokens":2')):
        with pytest.raises(Broken):
            check([first, *made[1:]], 10, MESSAGES.text)


@each_stream
@pytest.mark.parametrize("size", [1, 7, 100, 1000, 100_000])
def test_a_rewriting_proxy_may_change_everything_but_the_text(size: int, kind: Events) -> None:
    body = b"".join(events(20, kind)).replace(b'{"', b'{ "').replace(b'"index":', b'"x": 1, "index": ')
    assert check([body[at : at + size] for at in range(0, len(body), size)], 20, kind, kind).tokens == 20
    with pytest.raises(Broken):
        check([body], 20, kind)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("a token is missing", lambda made: made[:3] + made[4:]),
        ("a token was changed", lambda made: [*made[:3], made[3].replace(b"00fa0", b"00fa1"), *made[4:]]),
        ("text was added to a token", lambda made: [*made[:3], made[3].replace(b'"}}', b'x"}}'), *made[4:]]),
        ("the first text is missing", lambda made: [made[0].replace(b'{\\"path\\":\\"', b""), *made[1:]]),
        ("the last text is missing", lambda made: [*made[:-2], made[-2].replace(b'\\"}"', b'"'), made[-1]]),
        ("the finish reason is another", lambda made: [*made[:-2], made[-2].replace(b"tool_use", b"end_turn"), made[-1]]),
        ("the end is missing", lambda made: made[:-1]),
        ("an event is not JSON", lambda made: [*made[:3], made[3].replace(b"}}", b"}"), *made[4:]]),
        ("bytes follow", lambda made: [*made, b"data"]),
    ],
)  # fmt: skip
def test_a_rewritten_stream_that_says_something_else_is_broken(name: str, spoil: object) -> None:
    assert callable(spoil)
    kind = MESSAGES.calls
    assert kind is not None
    made = events(10, kind)
    assert spoil(made) != made, name
    with pytest.raises(Broken):
        check(spoil(made), 10, kind, kind)


def test_added_latency_excludes_the_upstream_time() -> None:
    samples = Samples()
    samples.recording = True
    stream = Stream(CHAT.text, 3, samples)
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
