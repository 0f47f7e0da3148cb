"""Recorded messages: bytes out are bytes in whatever the reads are, and the usage is that of the anthropic package."""

from __future__ import annotations

import random

import anthropic
import pytest
from anthropic.types.beta import BetaUsage

from proxy.dialects.anthropic.reader import MessagesReader
from proxy.dialects.base import EventKind
from proxy.dialects.usage import Usage
from proxy.wire.sse import Framer
from tests.support.anthropic_recordings import ANSWERS, BROKEN, STREAMS, WHOLE, Stream
from tests.support.anthropic_sdk import read_answer, read_stream
from tests.support.pump import Relayed, relayed, split
from tests.support.recorded import MISSING

pytestmark = pytest.mark.skipif(not STREAMS, reason=MISSING)

UNFINISHED = "messages-streaming-with-tool-use.sse"  # its last event lacks the blank line, its message the model


def through(chunks: object) -> Relayed:
    return relayed(chunks, "anthropic.messages")  # type: ignore[arg-type]


def counts(usage: BetaUsage) -> tuple[int | None, int | None, int, int, int | None]:
    """With what compactions took, which is billed and not in the totals."""
    apart = [each for each in usage.iterations or () if each.type == "compaction"]
    thinking = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else None
    written = usage.cache_creation_input_tokens or 0
    input_ = usage.input_tokens + sum(each.input_tokens for each in apart)
    return (
        input_,
        usage.cache_read_input_tokens,
        written,
        usage.output_tokens + sum(each.output_tokens for each in apart),
        thinking,
    )


def same_counts(usage: Usage | None) -> tuple[int | None, int | None, int, int, int | None]:
    assert usage is not None
    assert usage.total_input is not None
    assert usage.total_output is not None
    written = usage.total_input - (usage.input or 0) - (usage.cache_read or 0)
    return usage.input, usage.cache_read, written, usage.total_output, usage.reasoning


def test_every_recording_is_used() -> None:
    assert len([stream for stream in STREAMS if "/" in stream.name]) == 11
    assert len(STREAMS) > 40
    assert len(ANSWERS) > 30


@pytest.mark.parametrize("stream", WHOLE, ids=str)
def test_a_stream_is_relayed_byte_for_byte(stream: Stream) -> None:
    found = through([stream.body])
    end = b"\n" if stream.name == UNFINISHED else b""
    assert (found.body, found.outcome, found.fault, found.dropped) == (stream.body + end, "ok", None, ())
    assert (found.response_model == "") == (stream.name == UNFINISHED)


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if stream.name == BROKEN], ids=str)
def test_an_error_of_the_provider_is_relayed_byte_for_byte(stream: Stream) -> None:
    found = through([stream.body])
    assert (found.body, found.outcome, found.error) == (stream.body, "broken", "upstream_error_in_stream")
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        read_stream(found.body)


@pytest.mark.parametrize("stream", STREAMS, ids=str)
def test_no_split_changes_a_byte_or_a_fact(stream: Stream) -> None:
    body = stream.body
    whole = through([body])
    assert through(split(body, range(len(body)))) == whole
    chance = random.Random(stream.name)
    for cut in range(len(body)) if len(body) < 3000 else chance.sample(range(len(body)), 20):
        assert through((body[:cut], body[cut:])) == whole
    for size in (10, 300, 4000):
        assert through(split(body, chance.sample(range(len(body)), len(body) // size))) == whole


@pytest.mark.parametrize("stream", STREAMS, ids=str)
def test_plain_events_are_those_of_content(stream: Stream) -> None:
    blocks = Framer().feed(stream.body)
    plain = [block for block in blocks if MessagesReader().plain(block)]
    assert plain == [block for block in blocks if block.startswith(b"event: content_block_delta\n")]
    for block in plain:
        assert MessagesReader().read(block) in (EventKind.CONTENT, EventKind.PRELIMINARY)


@pytest.mark.parametrize("stream", WHOLE, ids=str)
def test_the_usage_of_a_stream_is_that_of_the_sdk(stream: Stream) -> None:
    found = through([stream.body])
    message = read_stream(found.body)
    assert same_counts(found.usage) == counts(message.usage)
    assert found.response_model == (message.model or "")


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_the_usage_of_an_answer_is_that_of_the_sdk(answer: Stream) -> None:
    info, message = MessagesReader.read_answer(answer.body), read_answer(answer.body)
    assert (info.model, info.strict) == (message.model, True)
    assert same_counts(info.usage) == counts(message.usage)


@pytest.mark.parametrize("stream", WHOLE, ids=str)
def test_a_stream_that_is_cut_before_its_stop_reason_has_one_error(stream: Stream) -> None:
    end = stream.body.index(b"event: message_delta")
    chance, cut = random.Random(stream.name), 0
    for at in chance.sample(range(end), min(30, end)):
        found = through([stream.body[:at]])
        if found.fault is None:  # after the content commit
            cut += 1
            assert (found.outcome, found.body.count(b"event: error\n")) == ("broken", 1)
            with pytest.raises(anthropic.APIStatusError):
                read_stream(found.body)
        else:
            assert (found.body, found.fault[1]) == (b"", 502)
    assert cut or b"content_block_start" not in stream.body
