"""A translation of streams between two made-up dialects: a block is the parts' short names, an event their text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import Struct

from proxy.dialects.translation.base import AnswerContext, AnswerDecoder, StreamEncoder
from proxy.dialects.translation.calls import MOST_BUFFERED, CallParts
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.parts import (
    AnswerFailed,
    AnswerPart,
    CallDelta,
    CallEnd,
    CallStart,
    Dropped,
    Finish,
    ReasoningDelta,
    TextDelta,
)
from proxy.dialects.translation.stream import StreamTranslation
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import BrokenAnswer, GatewayError

PARTS: dict[int, AnswerPart] = {
    ord("t"): TextDelta("text"),
    ord("r"): ReasoningDelta("thought"),
    ord("a"): CallStart(0, "a", "f"),
    ord("b"): CallStart(1, "b", "f"),
    ord("0"): CallDelta(0, "{0}"),
    ord("1"): CallDelta(1, "{1}"),
    ord("f"): Finish("stop"),
    ord("d"): Dropped("web_search"),
    ord("e"): Dropped("container"),
    ord("x"): AnswerFailed("No image."),
    ord("l"): CallDelta(1, "x" * (MOST_BUFFERED + 1)),
}


class MadeUpAnswerDecoder(AnswerDecoder):
    """Only one letter is plain. ``kept``: the parts that come at the end of a stream."""

    def __init__(self, kept: Sequence[AnswerPart] = (TextDelta("last"),)) -> None:
        self._kept = kept

    def plain(self, block: bytes) -> AnswerPart | None:
        return PARTS[block[0]] if len(block) == 1 else None

    def decode(self, block: bytes) -> Sequence[AnswerPart]:
        return [PARTS[letter] for letter in block]

    def end(self) -> Sequence[AnswerPart]:
        return self._kept

    def whole(self, body: bytes) -> Sequence[AnswerPart]:
        return self.decode(body)


class MadeUpStreamEncoder(StreamEncoder):
    sequential = True

    def encode(self, part: AnswerPart) -> bytes:
        match part:
            case TextDelta(text) | ReasoningDelta(text) | CallDelta(_, text):
                return f"{text} ".encode()
            case CallStart():
                return f"<{part.id} ".encode()
            case CallEnd(index):
                return f"{index}> ".encode()
            case Finish(reason):
                return f"{reason} ".encode()
        raise AssertionError(part)

    def finish(self) -> bytes:
        return b"END"

    def failed(self, fault: GatewayError) -> bytes:
        return fault.message.encode()


def translation(*kept: AnswerPart) -> StreamTranslation:
    encoder = MadeUpStreamEncoder(AnswerContext(Conversation("made.up", []), "id", 0))
    decoder = MadeUpAnswerDecoder(kept) if kept else MadeUpAnswerDecoder()
    return StreamTranslation(decoder, encoder, CallParts(ToolNames(), "call_", sequential=True))


class _Case(Struct):
    blocks: list[bytes]
    expected: bytes


@pytest.mark.parametrize(
    "case",
    [
        _Case([b"t", b"r", b"f"], b"text thought stop last END"),
        _Case([b"a", b"b", b"1", b"0", b"f"], b"<a {0} 0> <b {1} 1> stop last END"),
        _Case([b"ab1", b"t", b"0"], b"<a 0> <b {1} 1> text last END"),
        _Case([b"a", b"0"], b"<a {0} 0> last END"),
        _Case([], b"last END"),
    ],
)
@pytest.mark.parametrize("plainly", [False, True])
def test_a_stream_is_the_same_by_both_ways(case: _Case, plainly: bool) -> None:
    stream = translation()
    found = b""
    for block in case.blocks:
        event = stream.plain(block) if plainly else None
        found += stream.translate(block) if event is None else event
    assert found + stream.finish() == case.expected


def test_a_block_that_is_not_plain_claims_nothing() -> None:
    stream = translation()
    assert stream.plain(b"tt") is None
    assert stream.translate(b"tt") == b"text text "


def test_what_no_other_dialect_has_is_noted_once() -> None:
    stream = translation()
    assert stream.translate(b"dtde") == b"text "
    assert stream.plain(b"d") == b""
    assert list(stream.dropped) == ["web_search", "container"]


def test_a_stream_ends_once() -> None:
    stream = translation()
    assert stream.finish() == b"last END"
    assert stream.finish() == b""


def test_after_a_failure_nothing_says_that_the_answer_is_whole() -> None:
    stream = translation()
    stream.translate(b"a")
    assert stream.failed(GatewayError("It broke.")) == b"It broke."
    assert stream.finish() == b""


def test_nothing_follows_the_failure_of_an_answer() -> None:
    found = translation()
    assert found.translate(b"t") == b"text "
    assert found.translate(b"txt") == b"text "
    assert found.failure == "No image."


def test_an_answer_that_fails_at_its_end_does_not_look_whole() -> None:
    stream = translation(TextDelta("last"), AnswerFailed("No image."))
    assert (stream.finish(), stream.failure) == (b"last ", "No image.")
    assert stream.failed(GatewayError("It broke.")) == b"It broke."


def test_arguments_that_are_too_long_are_the_failure_of_an_answer() -> None:
    stream = translation(*(PARTS[letter] for letter in b"abl"))
    assert (stream.finish(), "too long" in stream.failure) == (b"", True)
    stream = translation()
    with pytest.raises(BrokenAnswer):
        stream.translate(b"abl")
    assert "too long" in stream.failure
