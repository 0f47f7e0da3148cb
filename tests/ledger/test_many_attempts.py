"""Exchanges of several attempts, and exchanges that are ended from outside: each attempt has its own row."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import Any

import pytest

from proxy.exchange import Exchange
from proxy.ledger.row import Row
from proxy.server.outlet import Outlet, OutletWrapper
from tests.dispatch.streams import ask, begun, events_of, recovering
from tests.support import (
    Blackhole,
    Chunk,
    Close,
    Headers,
    Reset,
    Send,
    Signal,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    within,
)
from tests.support.answers import SSE_HEADERS, USAGE, compact
from tests.support.candidates import candidates
from tests.support.clock import LoopClock
from tests.support.gateway import Gateway, one_provider
from tests.support.recorded_ledger import RecordedSpool, keep_ledger
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
CALL: dict[str, Any] = {"model": ["a", "b", "c"], "messages": HI}
STREAM = CALL | {"stream": True}
PRICES = {"prices": {"input": 1, "output": 2}}
COUNTED = chat_events("Hello", " world", usage=USAGE)
ROLE, FIRST, SECOND, *REST = COUNTED
NANO = 9 * 1000 + 2 * 2000


def spool_of(gw: Gateway) -> RecordedSpool:
    """That of ``candidates``."""
    (ledger,) = gw.app.observers.exact
    spool = ledger._spool  # type: ignore[attr-defined]
    assert isinstance(spool, RecordedSpool)
    return spool


def told(rows: list[Row]) -> list[tuple[str, str, bool, str]]:
    return [(row.provider, row.end, row.answered, row.usage_source) for row in rows]


async def test_a_retry_has_rows_of_its_own() -> None:
    async with candidates("ab", model=PRICES) as (gw, ups, _):
        ups[0].queue(json_answer(error_json(), 500))
        ups[1].queue(json_answer(completion()))
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
        line = await gw.settled()
        first, second = rows = spool_of(gw).rows
        assert told(rows) == [("a", "server_error", False, "none"), ("b", "ok", True, "provider")]
        assert (first.request_id, first.attempt) == (second.request_id, 1)
        assert (second.attempt, second.cost, second.status) == (2, NANO, 200)
        assert (first.cost, first.status, first.bytes_out) == (0, 500, 0)
        assert second.bytes_out == line["bytes_out"]
        assert line["cost_usd"] == NANO / 1e9


async def test_the_input_of_a_races_loser_is_billed() -> None:
    async with candidates("ab", model=PRICES, routing={"hedgeAfterMs": 1}) as (gw, ups, _):
        ups[0].queue([Stall()])
        ups[1].queue(json_answer(completion()))
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
        line = await gw.settled()
        loser, winner = rows = spool_of(gw).rows
        assert told(rows) == [("a", "outrun", False, "estimated"), ("b", "ok", True, "provider")]
        assert (loser.input, loser.output, loser.reasoning) == (loser.bytes_in // 4, 0, None)
        assert (loser.cost, winner.cost) == (loser.bytes_in // 4 * 1000, NANO)
        assert line["cost_usd"] == (loser.cost + NANO) / 1e9


async def test_the_output_of_a_plain_races_loser_is_billed_by_its_time() -> None:
    late = asyncio.Event()
    async with candidates("ab", model=PRICES, routing={"hedgeAfterMs": 1}) as (gw, ups, clock):
        ups[0].queue([Stall()])
        ups[1].queue([Wait(late), *json_answer(completion())])
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL | {"max_tokens": 70})
        await ups[1].request()
        clock.advance(60.0)
        late.set()
        await client.read_answer()
        await gw.settled()
        loser, winner = rows = spool_of(gw).rows
        assert told(rows) == [("a", "outrun", False, "estimated"), ("b", "ok", True, "provider")]
        assert (loser.input, loser.output, winner.output) == (loser.bytes_in // 4, 70, 2)


async def test_a_loser_that_had_reported_its_input_is_estimated() -> None:
    def event(kind: str, **members: Any) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind} | members))

    start = event("message_start", message={"content": [], "usage": {"input_tokens": 30, "output_tokens": 1}})
    text = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})
    stop = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 4})
    dialects: dict[str, Any] = {"dialects": {"messages": {}}}
    async with candidates("ab", model=PRICES, provider=dialects, routing={"hedgeAfterMs": 1}) as (gw, ups, _):
        started = asyncio.Event()
        ups[0].queue([Headers(200, SSE_HEADERS), Chunk(start), Signal(started), Stall()])
        ups[1].queue([Wait(started), *sse_answer(start, text, stop, event("message_stop"))])
        client = await gw.client()
        await client.request("POST", "/v1/messages", json={"max_tokens": 9, **STREAM, "model": ["a", "b"]})
        await client.read_answer()
        await gw.settled()
        first, second = rows = spool_of(gw).rows
        assert told(rows) == [("a", "outrun", False, "estimated"), ("b", "ok", True, "provider")]
        assert (first.input, first.output, second.input, second.output) == (30, 1, 30, 4)


@pytest.mark.parametrize("winner", ["openai", "anthropic"])
async def test_the_winner_of_a_race_is_read_in_its_own_dialect(winner: str) -> None:
    """The other attempt began later, at a provider of another dialect."""
    openai = completion(
        usage={"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    )
    content = [{"type": "text", "text": "Hello"}]
    usage = {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 2}
    anthropic = {"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn", "usage": usage}
    names = ["openai", "anthropic"] if winner == "openai" else ["anthropic", "openai"]
    async with Upstream() as first, Upstream() as second:
        urls = dict(zip(names, (first.url, second.url), strict=True))
        config: dict[str, Any] = {
            "routing": {"hedgeAfterMs": 1, "maxRetries": 2},
            "providers": {name: {"baseUrl": urls[name], "kind": name, "apiKey": "key"} for name in names},
            "models": [{"name": name, "provider": name} | PRICES for name in names],
        }
        async with Gateway(config) as gw:
            _, spool = keep_ledger(gw)
            hedged = asyncio.Event()
            first.queue([Wait(hedged), *json_answer(openai if winner == "openai" else anthropic)])
            second.queue([Signal(hedged), Stall()])
            client = await gw.client()
            answer = await client.fetch("POST", CHAT, json=CALL | {"model": names})
            assert answer.json["usage"]["prompt_tokens"] == 9
            await gw.settled()
            row, loser = spool.rows
            assert told([row, loser]) == [(winner, "ok", True, "provider"), (names[1], "outrun", False, "estimated")]
            assert (row.input, row.cached, row.output) == (5, 4, 2)


async def test_each_part_of_a_continued_stream_has_its_own_row() -> None:
    async with recovering("continue", count=2, prefill="b", model=PRICES) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(sse_answer(*chat_events(" world", model="up-b", usage=USAGE)))
        events = await events_of(await ask(gw, {"model": ["a", "b"], "messages": HI, "stream": True}))
        assert len(events) > 3
        line = await gw.settled()
        first, second = rows = spool_of(gw).rows
        assert told(rows) == [("a", "broken_answer", False, "estimated"), ("b", "ok", True, "provider")]
        assert (first.output, first.input) == (2, first.bytes_in // 4)
        assert (second.input, second.output, second.response_model) == (9, 2, "up-b")
        assert first.bytes_out == len(ROLE) + len(FIRST)
        assert first.bytes_out + second.bytes_out == line["bytes_out"]
        assert first.cost is not None
        assert second.cost is not None
        assert line["cost_usd"] == (first.cost + second.cost) / 1e9


async def test_a_stream_that_was_held_and_discarded_is_billed() -> None:
    async with recovering("hold", count=2, model=PRICES) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST, SECOND), Reset()])
        ups[1].queue(sse_answer(*COUNTED))
        await events_of(await ask(gw, {"model": ["a", "b"], "messages": HI, "stream": True}))
        await gw.settled()
        first, second = rows = spool_of(gw).rows
        assert told(rows) == [("a", "reset", False, "estimated"), ("b", "ok", True, "provider")] or told(rows) == [
            ("a", "broken_answer", False, "estimated"),
            ("b", "ok", True, "provider"),
        ]
        assert (first.output, first.bytes_out, second.output) == (3, 0, 2)


async def test_a_whole_answer_that_came_too_late_is_billed_all_the_same() -> None:
    """A stream was asked for and held; the provider answered with JSON."""
    async with recovering("hold", count=2, model=PRICES) as (gw, ups, _):
        ups[0].queue(json_answer(completion()))
        ups[1].queue(sse_answer(*COUNTED))
        await events_of(await ask(gw, {"model": ["a", "b"], "messages": HI, "stream": True}))
        await gw.settled()
        first, second = rows = spool_of(gw).rows
        assert told(rows) == [("a", "broken_answer", False, "provider"), ("b", "ok", True, "provider")]
        assert (first.cost, second.cost) == (NANO, NANO)


async def test_a_request_sent_again_on_a_dead_connection_is_one_attempt() -> None:
    async with Upstream() as up, _priced(up) as gw:
        _, spool = keep_ledger(gw)
        client = await gw.client()
        up.queue(
            [
                *json_answer(completion()),
            ],
            [Reset()],
            json_answer(completion()),
        )
        for _ in range(2):
            assert (await client.fetch("POST", CHAT, json=CALL | {"model": "m"})).status == 200
        await gw.settled(2)
        spool.check()
        assert len(up.requests) == 3
        assert [(row.usage_source, row.cost) for row in spool.rows] == [("provider", NANO)] * 2


async def test_what_cannot_be_translated_has_no_row() -> None:
    async with candidates("a", provider={"dialects": {"messages": {"enabled": False}}}) as (gw, ups, _):
        client = await gw.client()
        call = {"model": "a", "max_tokens": 5, "messages": HI, "tools": [{"type": "computer_20250124", "name": "c"}]}
        answer = await client.fetch("POST", "/v1/messages", json=call)
        assert answer.status == 400
        await gw.settled()
        assert (spool_of(gw).opened, ups[0].requests) == ([], [])


# -- ended from outside ---------------------------------------------------------------------------------


def _priced(up: Upstream, **sections: Any) -> Gateway:
    model = {"name": "m", "provider": "up", "model": "up-model"} | PRICES
    return Gateway(one_provider(up, **sections) | {"models": [model]})


JSON_HEAD = Headers(200, [("Content-Type", "application/json"), ("Content-Length", "999")])
STREAM_HEAD = Headers(200, SSE_HEADERS)
# What the provider does before it is silent; the usage source, and whether the answer has begun.
PHASES: dict[str, tuple[list[Step | bytes], str, bool]] = {
    "before the head": ([], "estimated", False),
    "after the head": ([STREAM_HEAD], "estimated", False),
    "before content": ([STREAM_HEAD, Chunk(ROLE)], "estimated", False),
    "within the content": ([STREAM_HEAD, Chunk(ROLE), Chunk(FIRST)], "estimated", True),
    "after the usage": ([STREAM_HEAD, *map(Chunk, COUNTED[:-1])], "provider", True),
    "within JSON": ([JSON_HEAD, Send(b'{"id":')], "estimated", False),
}


@pytest.mark.parametrize("how", ["client", "stop"])
@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES.keys())
async def test_an_exchange_that_is_ended_has_its_row(phase: tuple[list[Step | bytes], str, bool], how: str) -> None:
    script, source, begins = phase
    there = asyncio.Event()
    LoopClock()  # no time passes, in which a plain answer would be written
    async with Upstream() as up, _priced(up) as gw:
        ledger, spool = keep_ledger(gw)
        up.queue([*script, Signal(there), Stall()])
        client = await gw.client()
        streams = {"stream": True, "stream_options": {"include_usage": True}} if JSON_HEAD not in script else {}
        await client.request("POST", CHAT, json=CALL | {"model": "m"} | streams)
        await within(there.wait(), "the provider")
        if begins:
            await client.read_head()
            for _ in range(sum(isinstance(step, Chunk) for step in script)):
                await client.read_event()
        if how == "client":
            client.reset()
        else:
            await gw.app.serving.drain(0.0)
        await gw.settled()
        spool.check()
        assert ledger.open_entries == 0
        (row,) = spool.rows
        assert row.usage_source == source
        assert row.answered == begins
        if not begins:
            assert (row.input, row.output, row.cost) == (row.bytes_in // 4, 0, row.bytes_in // 4 * 1000)
        if begins:
            assert row.end in ("client_gone", "ok") if how == "client" else ("broken", "ok")
        else:
            assert row.end == ("client_gone" if how == "client" else "ours")


async def test_a_connection_that_is_never_made_costs_nothing() -> None:
    with Blackhole() as hole:
        timeouts = {"timeouts": {"connect": 0.05}}
        async with candidates("a", provider={"baseUrl": hole.url} | timeouts, model=PRICES) as (gw, _, _clock):
            client = await gw.client()
            await client.fetch("POST", CHAT, json=CALL | {"model": "a"})
            await gw.settled()
            (row,) = spool_of(gw).rows
            assert (row.usage_source, row.cost, row.sent_ms) == ("none", 0, None)


class _Failing(OutletWrapper):
    """Raises in one of its methods."""

    __slots__ = ("_where",)

    def __init__(self, outlet: Outlet, where: str) -> None:
        super().__init__(outlet)
        self._where = where

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        self._fail("send")
        super().send(status, header_lines, body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        self._fail("begin")
        super().begin(status, header_lines, first, length=length)

    def write(self, data: bytes) -> None:
        self._fail("write")
        super().write(data)

    def end(self, last: bytes = b"") -> None:
        self._fail("end")
        super().end(last)

    def _fail(self, where: str) -> None:
        if self._where == where:
            self._where = ""
            raise RuntimeError("A hook failed on purpose.")


@pytest.mark.parametrize(
    ("where", "stream", "source"),
    [
        ("wrap", False, None),
        ("send", False, "provider"),
        ("begin", True, "estimated"),
        ("write", True, "estimated"),
        ("end", True, "provider"),
    ],
)
async def test_a_hook_that_fails_leaves_no_entry_open(
    where: str, stream: bool, source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hook:
        def on_response(self, exchange: Exchange, outlet: Outlet) -> Outlet:
            if where == "wrap":
                raise RuntimeError("A hook failed on purpose.")
            return _Failing(outlet, where)

    module = types.ModuleType("failing_hook")
    module.hook = Hook()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    async with Upstream() as up, _priced(up, hooks=["failing_hook:hook"]) as gw:
        ledger, spool = keep_ledger(gw)
        up.on(lambda request: sse_answer(*COUNTED) if stream else json_answer(completion()))
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL | {"model": "m", "stream": stream})
        await gw.settled()
        spool.check()
        assert ledger.open_entries == 0
        assert [row.usage_source for row in spool.rows] == ([] if source is None else [source])
