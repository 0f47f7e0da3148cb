"""Recorded streams and answers of Gemini: bytes out are bytes in, at every cut, with the usage that Google's SDK reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai.types import GenerateContentResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.gemini.reader import GeminiReader
from proxy.dialects.usage import Usage
from proxy.errors import ConnectionBroken
from proxy.wire.sse import Framer
from tests.support.gemini import CHUNKS, FIXTURES, WIRE, data_of, framed, needs_recordings, recordings, stream_of
from tests.support.pump import Pump, relayed, split
from tests.support.recorded import SHARED, cases

pytestmark = needs_recordings

STREAMS = recordings()
ANSWERS = sorted(
    path
    for path in [
        *FIXTURES.glob("*.json"),
        *(SHARED / "translate/kong/spec/fixtures/ai-proxy").rglob("gemini/**/*.json"),
    ]
    if b'"candidates"' in path.read_bytes()
)
DIALECT = "gemini.generate"
EDGES = 500  # bytes at both ends of a stream that are cut at every byte
CUTS = 1000  # about as many between them; a longer stream is cut at some


def total(usage: Usage | None) -> tuple[int, int]:
    assert usage is not None
    return usage.total_input or 0, usage.total_output or 0


def totals_of(found: Any) -> tuple[int, int]:
    """Input and output as the SDK's own class has them."""
    read = (found.prompt_token_count or 0) + (found.tool_use_prompt_token_count or 0)
    return read, (found.candidates_token_count or 0) + (found.thoughts_token_count or 0)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_goes_through_byte_for_byte(name: str) -> None:
    stream = STREAMS[name]
    result = relayed([stream], DIALECT)
    assert (result.body, result.outcome, result.error, result.dropped) == (stream, "ok", "", ())
    assert result.events == len(data_of(stream))
    assert result.response_model == data_of(stream)[0]["modelVersion"]


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_every_cut_of_a_stream_gives_the_same(name: str, end: bytes) -> None:
    stream = STREAMS[name].replace(b"\r\n", b"\n").replace(b"\n", end)
    whole = relayed([stream], DIALECT)
    size = len(stream)
    between = range(EDGES, size - EDGES, max(1, (size - 2 * EDGES) // CUTS))
    for at in sorted({*range(1, min(EDGES, size)), *between, *range(max(1, size - EDGES), size)}):
        assert relayed(split(stream, [at]), DIALECT) == whole


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_any_cuts_of_a_stream_give_the_same(data: st.DataObject) -> None:
    stream = STREAMS[data.draw(st.sampled_from(sorted(STREAMS)))]
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=30))
    assert relayed(split(stream, cuts), DIALECT) == relayed([stream], DIALECT)


@pytest.mark.parametrize("case", [case for case in WIRE if case.framed], ids=str)
def test_the_recorded_network_chunks_go_through_one_by_one(case: Any) -> None:
    pump = Pump(DIALECT, framed=True).feed(*case.chunks).end()
    assert (pump.body, pump.exchange.outcome, pump.exchange.events) == (case.response, "ok", len(case.chunks))


@pytest.mark.parametrize("name", STREAMS)
def test_all_but_the_first_and_the_last_event_are_plain(name: str) -> None:
    reader, (first, *rest) = GeminiReader(), Framer().feed(STREAMS[name])
    reader.read(first, first=True)
    assert [reader.plain(block) for block in rest] == [*[True] * (len(rest) - 1), *[False] * bool(rest)]


@pytest.mark.parametrize("name", STREAMS)
def test_the_usage_is_that_of_googles_sdk(name: str) -> None:
    result = relayed([STREAMS[name]], DIALECT)
    *_, last = stream_of([result.body])
    assert last.usage_metadata is not None
    assert total(result.usage) == totals_of(last.usage_metadata)
    assert sum(total(result.usage)) == last.usage_metadata.total_token_count
    assert result.usage is not None
    assert (result.usage.reasoning or 0) == (last.usage_metadata.thoughts_token_count or 0)


@pytest.mark.parametrize("name", [name for name in STREAMS if len(data_of(STREAMS[name])) > 1])
def test_a_stream_cut_before_its_last_event_ends_with_one_error(name: str) -> None:
    blocks = Framer().feed(STREAMS[name])
    for pump in (
        Pump(DIALECT).feed(*blocks[:-1]).end(),
        Pump(DIALECT).feed(*blocks[:-1]).broken(ConnectionBroken("Lost.")),
        Pump(DIALECT).feed(*blocks[:-1], blocks[-1][:-9]).end(),
    ):
        before = b"".join(blocks[:-1])
        assert pump.body.startswith(before)
        (error,) = data_of(pump.body[len(before) :])
        assert list(error) == ["error"]
        assert (error["error"]["code"], pump.exchange.outcome) == (502, "broken")


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_after_its_last_event_is_whole(name: str) -> None:
    pump = Pump(DIALECT).feed(STREAMS[name]).broken(ConnectionBroken("Lost."))
    assert (pump.body, pump.exchange.outcome) == (STREAMS[name], "ok")


@pytest.mark.parametrize("path", CHUNKS, ids=lambda path: path.name)
def test_line_ends_do_not_matter(path: Any) -> None:
    lf, crlf = (relayed([framed(path, end)], DIALECT) for end in (b"\n", b"\r\n"))
    assert (lf.usage, lf.events, lf.outcome) == (crlf.usage, crlf.events, crlf.outcome)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.name)
def test_the_usage_of_an_answer_is_that_of_googles_sdk(path: Any) -> None:
    body = path.read_bytes()
    found = GenerateContentResponse.model_validate(json.loads(body))
    info = GeminiReader.read_answer(body)
    assert (info.model, info.strict) == (found.model_version or "", True)
    assert found.usage_metadata is not None
    assert total(info.usage) == totals_of(found.usage_metadata)


def test_a_recorded_array_is_read_as_an_answer() -> None:
    (case,) = cases("gemini", "vertex-stream-jsonarray-framed")
    info = GeminiReader.read_answer(case.response)
    assert (info.model, info.usage) == ("gemini-2.5-flash-lite", Usage(17, None, 10, None))


def test_a_recorded_refusal_has_its_word() -> None:
    (case,) = cases("gemini", "json-429-quota")
    error = GeminiReader.read_error(case.response)
    assert error is not None
    assert (error.type, error.status, error.code) == ("RESOURCE_EXHAUSTED", 429, 429)
