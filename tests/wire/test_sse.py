from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.wire.sse import BOM, BlockTooLarge, Event, Framer, begins_events, parse, payload
from tests.support.recorded import MISSING, Case, cases, framing_cases

STREAMS = [case for case in cases() if case.streamed]
CONFORMANCE = framing_cases()

# --- an independent reading of the specification: one character at a time, on the decoded text ---


def lines_of(stream: bytes) -> list[str]:
    """The complete lines of a stream, decoded as the specification says, without its one BOM."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines, line, after_cr = [], "", False
    for character in text:
        if character == "\n" and after_cr:
            after_cr = False
            continue
        after_cr = character == "\r"
        if character in "\r\n":
            lines.append(line)
            line = ""
        else:
            line += character
    return lines


def events_of(stream: bytes) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    last_id, name, retry = "", "", None
    seen_id, buffer, has_buffer = last_id, "", False
    own_id: str | None = None
    for line in lines_of(stream):
        if line == "":
            last_id = seen_id
            if has_buffer:
                events.append(
                    {
                        "event": name or None,
                        "data": buffer[:-1],
                        "id": own_id,
                        "last_event_id": last_id,
                        "retry": retry,
                    }
                )
            name, buffer, has_buffer, own_id, retry = "", "", False, None, None
            continue
        field, value = line, ""
        if ":" in line:
            at = line.index(":")
            field, value = line[:at], line[at + 1 :]
            if value[:1] == " ":
                value = value[1:]
        if field == "data":
            buffer += value + "\n"
            has_buffer = True
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            seen_id = own_id = value
        elif field == "retry" and value and set(value) <= set("0123456789"):
            retry = int(value)
    return events


# --- the same through the code under test ---


def cut(chunks: Iterable[bytes]) -> tuple[list[bytes], bytes]:
    framer = Framer()
    blocks = [block for chunk in chunks for block in framer.feed(chunk)]
    assert framer.partial == bool(framer.rest)
    return blocks, framer.rest


def read(blocks: Sequence[bytes]) -> list[Event]:
    return [parse(block, first=index == 0) for index, block in enumerate(blocks)]


def decoded(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "replace")


def dispatched(blocks: Sequence[bytes]) -> list[dict[str, Any]]:
    events, last_id = [], ""
    for event in read(blocks):
        last_id = last_id if event.id is None else event.id.decode("utf-8", "replace")
        if event.data is not None:
            events.append(
                {
                    "event": decoded(event.event),
                    "data": decoded(event.data),
                    "id": decoded(event.id),
                    "last_event_id": last_id,
                    "retry": event.retry,
                }
            )
    return events


def without_seams(blocks: Sequence[bytes]) -> list[bytes]:
    """Hands a LF that leads a block back to the CR that ended the block before."""
    whole: list[bytes] = []
    for block in blocks:
        if whole and whole[-1].endswith(b"\r") and block.startswith(b"\n"):
            whole[-1] += b"\n"
            block = block[1:]
        if block:
            whole.append(block)
    return whole


def split(stream: bytes, at: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(at), len(stream)]
    return [stream[begin:end] for begin, end in itertools.pairwise(edges)]


ENDS = st.sampled_from(["\n", "\r\n", "\r"])
VALUES = st.sampled_from(
    [
        "",
        " ",
        "  two spaces",
        "x",
        "[DONE]",
        '{"a": "b:c"}',
        "größer 你好 🎉",
        "a\x0bb\x0cc\x1cd\u0085e\u2028f",
        "\0",
        "12",
        "007",
    ]
)
FIELDS = st.sampled_from(["data", "data", "data", "event", "id", "retry", "", "data ", "Data", "other", "\ufeffdata"])
LINES = st.one_of(
    st.builds(
        lambda field, colon, value: field + colon + (value if colon else ""),
        FIELDS,
        st.sampled_from([":", ": ", ""]),
        VALUES,
    ),
    st.just(""),
    st.just(""),
    st.just(": a comment"),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(["", "\ufeff", "\ufeff\ufeff", "\n", "\r\n"]))
    for line in draw(st.lists(LINES, max_size=14)):
        text += line + draw(ENDS)
    text += draw(st.sampled_from(["", "data: cut", "data"]))
    return text.encode()


RAW = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"data: x", b"event: e", b":", b"e", b"\xef\xbb\xbf", b"\xff"]),
    max_size=16,
).map(b"".join)


@given(streams())
def test_events_are_those_of_the_specification(stream: bytes) -> None:
    assert dispatched(cut([stream])[0]) == events_of(stream)


@given(streams() | RAW, st.data())
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", None)
@example(b"\xef\xbb\xbf\r\r\n\n\r", None)
def test_every_split_gives_the_same_blocks_and_loses_no_byte(stream: bytes, data: st.DataObject | None) -> None:
    whole, rest = cut([stream])
    assert b"".join(whole) + rest == stream
    splits = [[stream[at : at + 1] for at in range(len(stream))]]
    splits += [split(stream, [at]) for at in range(len(stream) + 1)]
    if data is not None:
        splits.append(split(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=6))))
    for chunks in splits:
        blocks, left = cut(chunks)
        assert b"".join(blocks) + left == stream
        # A seam LF may lead what is left over too.
        assert without_seams([*blocks, left]) == without_seams([*whole, rest])
        assert dispatched(blocks) == dispatched(whole)


@given(streams() | RAW)
def test_a_block_ends_with_the_first_blank_line_in_it(stream: bytes) -> None:
    blocks, rest = cut([stream])
    for index, block in enumerate([*blocks, rest]):
        if index == 0:
            block = block.removeprefix(b"\xef\xbb\xbf")
        lines = block.splitlines()
        if index < len(blocks):
            assert lines.pop() == b""
        # One BOM and a line end at the start make no event: that line may stay with the block after it.
        assert b"" not in (lines[1:] if index == 0 else lines)


@pytest.mark.skipif(not CONFORMANCE, reason=MISSING)
@pytest.mark.parametrize("case", CONFORMANCE, ids=lambda case: str(case["name"]))
@pytest.mark.parametrize("bytewise", [False, True], ids=["as recorded", "byte by byte"])
def test_public_conformance_suites_agree(case: dict[str, Any], bytewise: bool) -> None:
    chunks = case["chunks"]
    if bytewise:
        stream = b"".join(chunks)
        chunks = [stream[at : at + 1] for at in range(len(stream))]
    blocks, _ = cut(chunks)
    assert dispatched(blocks) == case["expected"]
    assert [event.retry for event in read(blocks) if event.retry is not None] == case["retries"]


@pytest.mark.skipif(not CONFORMANCE, reason=MISSING)
@pytest.mark.parametrize(
    "case",
    [case for case in CONFORMANCE if "expected_sdk_dialect" in case],
    ids=lambda case: str(case["name"]),
)
def test_a_block_that_only_sdks_dispatch_has_its_fields(
    case: dict[str, Any],
) -> None:
    events = read(cut(case["chunks"])[0])
    surfaced = [
        {"event": (decoded(event.event) or "message"), "data": decoded(event.data) or ""}
        | ({"retry": event.retry} if event.retry is not None else {})
        for event in events
    ]
    assert surfaced == case["expected_sdk_dialect"]


@pytest.mark.skipif(not STREAMS, reason=MISSING)
@pytest.mark.parametrize("case", STREAMS, ids=str)
def test_recorded_streams_give_their_events_for_any_chunks(case: Case) -> None:
    stream = case.response
    random_ = random.Random(str(case))
    splits = [[stream], case.chunks]
    splits += [split(stream, random_.choices(range(len(stream)), k=count)) for count in (1, 10, 200)]
    if len(stream) < 30_000:
        splits.append([stream[at : at + 1] for at in range(len(stream))])
    for chunks in splits:
        blocks, rest = cut(chunks)
        assert b"".join(blocks) + rest == stream
        assert sum(event.data is not None for event in read(blocks)) == case.meta["whatwg_events"]
        assert [payload(block) for block in blocks] == [event.data for event in map(parse, blocks)]


@given(streams() | RAW)
def test_the_fast_payload_equals_the_parsed_data(stream: bytes) -> None:
    blocks, rest = cut([stream])
    for index, block in enumerate([*blocks, rest]):
        assert payload(block, first=index == 0) == parse(block, first=index == 0).data


@pytest.mark.parametrize(
    "block",
    [
        b"data: x",
        b"data: x\n",
        b"data: x\ndata: y\n",
        b"data: x\ndata: y\n\n",
        b"event: a\ndata: \n\n",
        b"event: a\rdata: x\ndata: y\n\n",
        b"data: \n\n",
        b"\n",
        b"",
    ],
)
def test_the_fast_payload_rejects_near_misses(block: bytes) -> None:
    assert payload(block) == parse(block).data


@pytest.mark.parametrize(
    "event", [b"data: {}\n\n", b"event: ping\ndata: {}\n\n", b"event:ping\ndata:{}\n\n", b"error: {}\n\n"]
)
def test_a_chunk_of_one_event_is_returned_as_the_same_object(event: bytes) -> None:
    framer = Framer()
    assert [block is event for block in framer.feed(event)] == [True]


@pytest.mark.parametrize(
    ("chunk", "blocks"),
    [
        (b"event\n\n\n", [b"event\n\n", b"\n"]),
        (b"event\n\ndata\n\n", [b"event\n\n", b"data\n\n"]),
        (b"\ndata: x\n\n", [b"\n", b"data: x\n\n"]),
        (b"\n\n", [b"\n", b"\n"]),
        (b"data: x\r\r\ndata: y\n\r\ndata: z\r\n\r", [b"data: x\r\r\n", b"data: y\n\r\n", b"data: z\r\n\r"]),
        (b"data: x\n\rdata: y\n\n", [b"data: x\n\r", b"data: y\n\n"]),
        (b"\r\r\n\n", [b"\r", b"\r\n", b"\n"]),
        (b"x\n", []),
        (b"", []),
    ],
)
def test_other_chunks_are_split(chunk: bytes, blocks: list[bytes]) -> None:
    assert Framer().feed(chunk) == blocks


def test_an_event_that_ends_with_cr_is_returned_at_once() -> None:
    framer = Framer()
    assert framer.feed(b"data: x\r\n\r") == [b"data: x\r\n\r"]
    assert framer.feed(b"\ndata: y\r\n\r\n") == [b"\ndata: y\r\n\r\n"]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_large_event_in_small_chunks_is_whole(end: bytes) -> None:
    event = b"data: " + b"x" * 1_000_000 + end
    framer = Framer()
    blocks = []
    for at in range(0, len(event), 1024):
        blocks += framer.feed(event[at : at + 1024])
        assert framer.partial == (not blocks)
    assert blocks == [event]
    assert payload(blocks[0]) == b"x" * 1_000_000


@pytest.mark.parametrize(
    "stream",
    [b"data: 12345\n\n", b"data: 12345\n\ndata: 1\n\n", b"data: 1234\r\n\r\n", b"data: 1234567890123"],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_block_over_the_limit_is_an_error_with_the_blocks_before_it(stream: bytes, size: int) -> None:
    framer = Framer(max_block=12)
    received: list[bytes] = []
    whole = b"data: 1\n\n" + stream
    chunks = [whole[at : at + size] for at in range(0, len(whole), size)]
    with pytest.raises(BlockTooLarge) as caught:
        received.extend(block for chunk in chunks for block in framer.feed(chunk))
    assert received + caught.value.blocks == [b"data: 1\n\n"]


@pytest.mark.parametrize("event", [b"data: 12345\n\n", b"event: x\ndata\n\n", b": 123456789\r\n\r\n"])
def test_the_limit_also_holds_for_a_chunk_of_one_event(event: bytes) -> None:
    with pytest.raises(BlockTooLarge):
        Framer(max_block=12).feed(event)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_block_of_exactly_the_limit_passes(size: int) -> None:
    framer = Framer(max_block=12)
    stream = b"data: 1234\n\n" * 3
    assert [block for at in range(0, len(stream), size) for block in framer.feed(stream[at : at + size])] == [
        b"data: 1234\n\n"
    ] * 3


@pytest.mark.parametrize(
    ("block", "event"),
    [
        (b"data\n\n", Event(data=b"")),
        (b"data:\n\n", Event(data=b"")),
        (b"data\ndata\n\n", Event(data=b"\n")),
        (b"data:  two\n\n", Event(data=b" two")),
        (b": only\n: comments\n\n", Event()),
        (b"event: a\nevent:\ndata: x\n\n", Event(data=b"x")),
        (b"event: a\nevent: b\ndata: x\n\n", Event(event=b"b", data=b"x")),
        (b"id: 1\nid: 2\0\n\n", Event(id=b"1")),
        (b"id\n\n", Event(id=b"")),
        (b"retry: 1\nretry: -1\nretry: 1.5\nretry: \xd9\xa1\nretry:\n\n", Event(retry=1)),
        (b"retry: " + b"9" * 5000 + b"\n\n", Event()),
        (b"data: a\x0bb\x0cc\x1cd\xc2\x85e\n\n", Event(data=b"a\x0bb\x0cc\x1cd\xc2\x85e")),
        (b"DATA: x\n data: y\ndata : z\n\n", Event()),
        (b"\xef\xbb\xbfdata: x\n\n", Event()),
    ],
)
def test_fields_are_read_as_the_specification_says(block: bytes, event: Event) -> None:
    assert parse(block) == event


@pytest.mark.parametrize(
    ("stream", "data"), [(b"\xef\xbb\xbfdata: x\n\n", b"x"), (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n", None)]
)
def test_one_bom_is_stripped_at_the_start_of_the_stream_and_no_other(stream: bytes, data: bytes | None) -> None:
    assert parse(stream, first=True).data == data
    assert payload(stream, first=True) == data
    assert parse(stream).data is None


@pytest.mark.parametrize(
    ("data", "found"),
    [(b": c", True), (b"data: {}", True), (b"event:x", True), (b"id:", True), (b"retry: 5\n", True), (BOM + b"\r\n\ndata:", True),
     (b"", None), (BOM[:2], None), (BOM, None), (b"\r\n", None), (b"dat", None), (b"i", None), (b"data", None),
     (b"{", False), (b"data {}", False), (b"identity", False), (b"<html>", False), (b" data:", False), (b"\xef\xbb:", False)],
)  # fmt: skip
def test_an_event_stream_is_recognized_by_its_first_bytes(data: bytes, found: bool | None) -> None:
    assert begins_events(data) is found


@given(st.sampled_from([b"", BOM]), st.text("\r\ndataeventidretry: {x").map(str.encode))
def test_more_bytes_never_change_the_decision_of_the_first_ones(bom: bytes, text: bytes) -> None:
    found = [begins_events((bom + text)[:end]) for end in range(len(bom + text) + 1)]
    decided = [each for each in found if each is not None]
    assert found == [None] * (len(found) - len(decided)) + decided
    assert len(set(decided)) < 2
