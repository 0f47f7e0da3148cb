"""The traffic of the benchmark: as the dialects have it, of one size, and served by the mock upstream."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.dialects.base import EventKind
from proxy.dialects.translation.conversation import ToolCall
from proxy.wire.sse import Framer
from tests.bench.client import Caller, StreamClient
from tests.bench.codecs import spoken
from tests.bench.conversation import conversation
from tests.bench.dialects import CHAT, DIALECTS, GEMINI, MESSAGES, dialect_of
from tests.bench.dialects.spelling import ANSWER_SIZE
from tests.bench.run import upstream
from tests.bench.traffic import EVENT_SIZE, TOKEN_SIZE, Traffic
from tests.bench.upstream import KEPT, scattered
from tests.bench.verify import Samples, Stream

each_dialect = pytest.mark.parametrize("traffic", DIALECTS.values(), ids=list(DIALECTS))


@each_dialect
def test_an_event_is_plain_and_has_the_size_of_all(traffic: Traffic) -> None:
    event = traffic.text.prefix + b"@" * TOKEN_SIZE + traffic.text.suffix
    assert len(event) == EVENT_SIZE
    assert spoken(traffic).reader().plain(event)


@each_dialect
def test_a_stream_is_complete_at_its_end_and_not_before(traffic: Traffic) -> None:
    reader = spoken(traffic).reader()
    for block in Framer().feed(traffic.text.before):
        assert reader.read(block) in (EventKind.PRELIMINARY, EventKind.CONTENT)
    assert reader.plain(traffic.text.prefix + b"@" * TOKEN_SIZE + traffic.text.suffix)
    *after, last = Framer().feed(traffic.text.after)
    assert not reader.complete
    for block in after:
        assert reader.read(block) is not EventKind.ERROR
    reader.read(last)
    assert reader.complete


@each_dialect
def test_an_answer_has_the_size_of_all_and_reports_what_was_received(traffic: Traffic) -> None:
    answer = traffic.answer(b"00000007", 300)
    assert len(answer) == ANSWER_SIZE
    assert b"@00000007;" in answer
    usage = spoken(traffic).reader.read_answer(answer).usage
    assert usage is not None
    assert usage.input == 300


@each_dialect
def test_requests_are_read_by_the_gateway_and_go_to_their_own_path(traffic: Traffic) -> None:
    head, _, body = traffic.stream_request(traffic.path, "bench", 150, 0.02).partition(b"\r\n\r\n")
    assert dialect_of(head.partition(b"\r\n")[0]) is traffic
    assert b"Content-Length: %d" % len(body) in head
    call = spoken(traffic).requests.read(body)
    assert call.model == (None if traffic is GEMINI else "bench")
    assert b"bench|s|150|20000|" in body


@each_dialect
@pytest.mark.parametrize("size", [4_000, 400_000])
def test_a_request_has_its_size_and_is_valid_in_its_dialect(traffic: Traffic, size: int) -> None:
    _, _, body = traffic.plain_request(traffic.path, "bench", 7, size).partition(b"\r\n\r\n")
    assert 0.9 < len(body) / size < 1.1
    assert b"bench|n|00000007|" in body[:KEPT]
    client = spoken(traffic).client
    if client is not None:
        decoded = client.decode_request.decode(body)
        said = conversation("bench|n|00000007| Please count.", size)
        calls = [part for message in decoded.messages for part in message.content if isinstance(part, ToolCall)]
        assert decoded.dropped == []
        assert [call.name for call in calls] == [turn.tool for turn in said.turns]
        assert [tool.name for tool in decoded.tools] == [tool.name for tool in said.tools]


def test_gemini_names_model_and_method_in_its_path() -> None:
    assert GEMINI.plain_request(GEMINI.path, "m", 1).startswith(b"POST /v1beta/models/m:generateContent HTTP")
    line = b"POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP"
    assert GEMINI.stream_request(GEMINI.path, "m", 1, 0.1).startswith(line)


def test_only_chat_has_a_usage_event_on_request() -> None:
    assert CHAT.text.last_with_usage != CHAT.text.last
    assert MESSAGES.text.last_with_usage == MESSAGES.text.last
    assert json.loads(CHAT.text.usage[6:])["usage"]["completion_tokens"] == 250


@each_dialect
async def test_the_upstream_serves_streams_and_answers(traffic: Traffic, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    samples = Samples()
    ended: asyncio.Future[str | None] = loop.create_future()
    failures: list[str] = []
    with upstream(tmp_path) as provider:
        stream_client = StreamClient(lambda _, error: ended.set_result(error))
        await loop.create_connection(lambda: stream_client, "127.0.0.1", provider.plain)
        request = traffic.stream_request(traffic.path, "bench", 5, 0.002)
        stream_client.ask(request, Stream(traffic.text, 5, samples))
        assert await ended is None
        stream_client.transport.close()
        caller = Caller(traffic, traffic.path, "bench", failures.append)
        caller.stopping = True  # after the first answer
        await loop.create_connection(lambda: caller, "127.0.0.1", provider.plain)
        await caller.over
    assert samples.tokens == 5
    assert caller.answers == 1
    assert failures == []


@pytest.mark.parametrize(("count", "few", "apart"), [(100, 16, 4), (20, 4, 4), (1000, 100, 4)])
def test_few_streams_of_the_upstream_are_far_apart(count: int, few: int, apart: int) -> None:
    order = scattered(count)
    assert sorted(order) == list(range(count))
    first = sorted(order[:few])
    assert min(after - before for before, after in pairwise(first)) >= apart
