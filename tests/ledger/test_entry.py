"""Every way in which an attempt can end, and its row: where its counts come from, and its cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec import structs

from proxy.ledger.row import COLUMNS, Row
from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    Reset,
    Send,
    Stall,
    Upstream,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
)
from tests.support.answers import SSE_HEADERS, USAGE, compact
from tests.support.gateway import Gateway
from tests.support.lives import at_rest
from tests.support.recorded_ledger import keep_ledger
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
PLAIN: dict[str, Any] = {"model": "m", "messages": HI}
STREAM = PLAIN | {"stream": True}
PRICES = {"input": 1, "output": 2, "cacheRead": 0.5}  # USD for a million tokens: 1000 and 2000 nano-USD for one
EVENTS = chat_events("Hello", " world", usage=USAGE)
UNCOUNTED = chat_events("Hello", " world")
BILLED = 9 * 1000 + 2 * 2000
ANSWER = compact(completion(usage=None))

CLAUDE: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": HI, "stream": True}
STARTED = {"input_tokens": 30, "cache_read_input_tokens": 6, "output_tokens": 1}


def claude(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind} | members))


START = claude("message_start", message={"model": "claude", "content": [], "usage": STARTED})
OPEN = claude("content_block_start", index=0, content_block={"type": "text", "text": ""})
DELTAS = [claude("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}) for _ in range(4)]
END = [
    claude("content_block_stop", index=0),
    claude("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 40}),
    claude("message_stop"),
]


@dataclass(frozen=True)
class Case:
    """What the provider does, and the row. ``output``: ``-1`` for a quarter of the bytes of ``ANSWER``."""

    script: list[Step | bytes]
    source: str
    end: str
    status: int = 0
    answered: bool = False
    input: int | None = -1  # -1: a quarter of the request's bytes
    output: int | None = None
    cached: int | None = None
    call: dict[str, Any] = field(default_factory=lambda: STREAM)
    path: str = CHAT
    provider: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)


def stream(*events: bytes, then: list[Step | bytes]) -> list[Step | bytes]:
    return [Headers(200, SSE_HEADERS), *map(Chunk, events), *then]


def nothing(script: list[Step | bytes], end: str, status: int = 0, **options: Any) -> Case:
    return Case(script, "none", end, status, input=0, output=0, **options)


def unknown(script: list[Step | bytes], end: str, status: int = 0, **options: Any) -> Case:
    return Case(script, "unknown", end, status, input=None, **options)


IMPATIENT = {"timeouts": {"firstContent": 0.1}}
MESSAGES = "/v1/messages"
COUNT = {"input_tokens": 12}
CASES = {
    # the provider reports what it bills
    "a whole answer": Case(json_answer(completion()), "provider", "ok", 200, True, 9, 2, call=PLAIN),
    "a stream": Case(sse_answer(*EVENTS), "provider", "ok", 200, True, 9, 2),
    "a stream without its terminal event": Case(
        stream(*EVENTS[:-1], then=[Close()]), "provider", "ok", 200, True, 9, 2
    ),
    "messages": Case(
        sse_answer(START, OPEN, *DELTAS, *END), "provider", "ok", 200, True, 30, 40, 6, CLAUDE, MESSAGES
    ),
    # content without a count
    "a whole answer without usage": Case(
        [Headers(200, [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))]), Send(ANSWER)],
        "estimated", "ok", 200, True, output=len(ANSWER) // 4, call=PLAIN,
    ),
    "vectors without usage": Case(
        json_answer({"object": "list", "data": [], "model": "up-model"}),
        "estimated", "ok", 200, True, output=0, call={"model": "m", "input": "Hi"}, path="/v1/embeddings",
    ),
    "a stream without usage": Case(sse_answer(*UNCOUNTED), "estimated", "ok", 200, True, output=len(UNCOUNTED)),
    "a stream that breaks": Case(
        stream(*UNCOUNTED[:3], then=[Reset()]), "estimated", "broken", 200, True, output=3
    ),
    "a stream with an error": Case(
        stream(*UNCOUNTED[:3], sse(error_json()), then=[LastChunk()]), "estimated", "broken", 200, True, output=4
    ),
    "messages that break": Case(
        stream(START, OPEN, *DELTAS, then=[Close()]), "estimated", "broken", 200, True, 30, 6, 6, CLAUDE, MESSAGES
    ),
    "messages that break before content": Case(
        stream(START, then=[Close()]), "estimated", "broken_answer", 0, False, 30, 1, 6, CLAUDE, MESSAGES
    ),
    "a count that no provider can mean": Case(
        json_answer(completion(usage=USAGE | {"completion_tokens": -1})),
        "estimated", "ok", 200, True, output=len(compact(completion(usage=USAGE | {"completion_tokens": -1}))) // 4,
        call=PLAIN,
    ),
    "a count that no database takes": Case(
        json_answer(completion(usage=USAGE | {"prompt_tokens": 10**30})),
        "estimated", "ok", 200, True, output=len(compact(completion(usage=USAGE | {"prompt_tokens": 10**30}))) // 4,
        call=PLAIN,
    ),
    # sent, and the wait was given up: the input is billed
    "silence": Case([Stall()], "estimated", "timeout", output=0, model=IMPATIENT),
    "silence after the head": Case(stream(then=[Stall()]), "estimated", "timeout", output=0, model=IMPATIENT),
    "a gateway timeout": Case(json_answer(error_json(), 504), "estimated", "server_error", 504, output=0),
    "a timeout at the edge": Case(json_answer(error_json(), 524), "estimated", "server_error", 524, output=0),
    # sent, and nobody knows
    "a closed connection": unknown([Close()], "reset"),
    "half a head": unknown([b"HTTP/1.1 200 OK\r\nContent-", Close()], "broken_answer"),
    "no HTTP": unknown([b"nonsense\r\n\r\n", Close()], "broken_answer"),
    "half an answer": unknown(
        [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "500")]), Send(b"{"), Close()],
        "broken_answer", call=PLAIN,
    ),
    "no JSON": unknown([Headers(200, [("Content-Type", "application/json"), ("Content-Length", "5")]), Send(b"<htm>")],
        "broken_answer", call=PLAIN),
    "an error with status 200": unknown(json_answer(error_json()), "server_error", call=PLAIN),
    "an error before content": unknown(sse_answer(sse(error_json())), "server_error"),
    "speech": unknown(
        [Headers(200, [("Content-Type", "audio/mpeg"), ("Content-Length", "4")]), Send(b"mp3!")],
        "ok", 200, answered=True, call={"model": "m", "input": "Hi", "voice": "x"}, path="/v1/audio/speech",
    ),
    # refused, or free
    "a bad request": nothing(json_answer(error_json("no", kind="invalid_request_error"), 400), "other", 400),
    "a rate limit": nothing(json_answer(error_json("slow down"), 429), "rate_limited", 429),
    "an internal error": nothing(json_answer(error_json(), 500), "server_error", 500),
    "overloaded": nothing(json_answer(error_json(), 529), "server_error", 529),
    "a count of tokens": nothing(
        json_answer(COUNT), "ok", 200, answered=True, path=f"{MESSAGES}/count_tokens",
        call={"model": "m", "messages": HI},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_the_row_of_an_ending(case: Case) -> None:
    async with Upstream() as up, _gateway(up, case) as gw:
        _, spool = keep_ledger(gw)
        up.on(lambda request: case.script)
        client = await gw.client()
        await client.request("POST", case.path, json=case.call)
        await client.read_answer()
        line = await gw.settled()
        spool.check()
        (row,) = spool.rows
        given = row.bytes_in // 4
        expected = (given if case.input == -1 else case.input, case.cached, case.output)
        assert (row.usage_source, row.end, row.status, row.answered) == (
            case.source,
            case.end,
            case.status,
            case.answered,
        )
        assert (row.input, row.cached, row.output) == expected
        _check_cost(row)
        assert line.get("cost_usd") == (None if row.cost is None else row.cost / 1e9)
        assert row.bytes_out == (line["bytes_out"] if case.answered else 0)
        assert spool.opened[0].row.input == (0 if case.path.endswith("count_tokens") else given)  # which is free
        await at_rest(gw)


def _gateway(up: Upstream, case: Case) -> Gateway:
    dialects = {"messages": {"baseUrl": up.url}}
    provider = {"baseUrl": up.url, "apiKey": "secret-key", "dialects": dialects} | case.provider
    model = {"name": "m", "provider": "up", "model": "up-model", "prices": PRICES} | case.model
    return Gateway(
        {"routing": {"maxRetries": 0, "rateLimitRetries": 0}, "providers": {"up": provider}, "models": [model]}
    )


def _check_cost(row: Row) -> None:
    if row.usage_source == "none":
        assert (row.cost, row.cost_source, row.price_version) == (0, "none", "")
    elif row.usage_source == "unknown":
        assert (row.cost, row.cost_source) == (None, "unpriced")
    else:
        assert row.cost == (row.input or 0) * 1000 + (row.output or 0) * 2000 + (row.cached or 0) * 500
        assert row.cost_source == "operator"
        assert row.price_version


async def test_records_are_those_of_the_structs_whoever_asks_for_what() -> None:
    """They are put together from pieces, one of which is shared."""
    async with Upstream() as up, _gateway(up, CASES["a whole answer"]) as gw:
        _, spool = keep_ledger(gw)
        up.on(lambda request: json_answer(completion()))
        client = await gw.client()
        headers = ([], [("x-router-labels", "a=b")], [("x-router-run", "r")], [("x-client-id", "ann")], [])
        for each in headers:
            await client.request("POST", CHAT, json=PLAIN, headers=each)
            await client.read_answer()
        await gw.settled(len(headers))
        assert [(row.labels, row.run, row.client.partition("@")[0]) for row in spool.rows] == [
            ({}, "", "address:127.0.0.1"),
            ({"a": "b"}, "", "address:127.0.0.1"),
            ({}, "r", "address:127.0.0.1"),
            ({}, "", "client:ann"),
            ({}, "", "address:127.0.0.1"),
        ]
        for opened, row in zip(spool.opened, spool.rows, strict=True):
            first, last = (structs.astuple(each)[: COLUMNS.index("bytes_in")] for each in (opened.row, row))
            assert first == last
            assert (opened.row.model, opened.row.cost_source, opened.input_price) == ("m", "operator", 10**9)
            assert (row.cost, row.response_model, row.usage_source) == (BILLED, "up-model", "provider")
