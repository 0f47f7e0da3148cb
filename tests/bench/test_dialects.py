"""The traffic of the benchmark: as the dialects have it, of one size, and served by the mock upstream."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.dialects.base import EventKind
from proxy.dialects.table import DIALECTS as SPOKEN
from proxy.dialects.table import Dialect
from proxy.wire.sse import Framer
from tests.bench.client import Caller, StreamClient
from tests.bench.dialects import ANSWER_SIZE, CHAT, DIALECTS, GEMINI, MESSAGES, dialect_of
from tests.bench.run import upstream
from tests.bench.traffic import EVENT_SIZE, TOKEN_SIZE, Traffic
from tests.bench.upstream import scattered
from tests.bench.verify import Samples, Stream

NAMES = {"chat": "openai.chat", "messages": "anthropic.messages", "gemini": "gemini.generate"}
each_dialect = pytest.mark.parametrize("traffic", DIALECTS.values(), ids=list(DIALECTS))


def spoken(traffic: Traffic) -> Dialect:
    return SPOKEN[NAMES[traffic.name]]


@each_dialect
def test_an_event_is_plain_and_has_the_size_of_all(traffic: Traffic) -> None:
    event = traffic.prefix + b"@" * TOKEN_SIZE + traffic.suffix
    assert len(event) == EVENT_SIZE
    assert spoken(traffic).reader().plain(event)


@each_dialect
def test_a_stream_is_complete_at_its_end_and_not_before(traffic: Traffic) -> None:
    reader = spoken(traffic).reader()
    before = Framer().feed(traffic.before)
    assert [reader.read(block) for block in before] == [EventKind.PRELIMINARY] * len(before)
    assert reader.plain(traffic.prefix + b"@" * TOKEN_SIZE + traffic.suffix)
    *after, last = Framer().feed(traffic.after)
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


def test_gemini_names_model_and_method_in_its_path() -> None:
    assert GEMINI.plain_request(GEMINI.path, "m", 1).startswith(b"POST /v1beta/models/m:generateContent HTTP")
    line = b"POST /v1beta/models/m:streamGenerateContent?alt=sse HTTP"
    assert GEMINI.stream_request(GEMINI.path, "m", 1, 0.1).startswith(line)


def test_only_chat_has_a_usage_event_on_request() -> None:
    assert CHAT.last_with_usage != CHAT.last
    assert MESSAGES.last_with_usage == MESSAGES.last
    assert json.loads(CHAT.usage[6:])["usage"]["completion_tokens"] == 250


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
        stream_client.ask(request, Stream(traffic, 5, True, samples))
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
