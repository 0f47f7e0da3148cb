"""A provider with a dialect of its own, added by one file (``made_up_reader.py``) and one line of the table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.dialects.table import CHAT, DIALECTS, Dialect
from proxy.errors import ConfigError
from tests.dialects import made_up_reader
from tests.dialects.made_up_reader import MadeUpReader
from tests.support import Chunk, Close, Headers, Upstream, json_answer, sse_answer
from tests.support.answers import SSE_HEADERS, sse
from tests.support.gateway import Gateway, one_provider

CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TOKENS = {"read": 5, "cached": 3, "said": 2}
COUNTS = {"input": 5, "cached": 3, "output": 2, "reasoning": None}

HELLO, WORLD = b'data: {"say":"Hello"}\n\n', b'data: {"say":" world"}\n\n'
OVER = sse({"over": True, "by": "their-model", "tokens": TOKENS})


@pytest.fixture(autouse=True)
def _table_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIALECTS, "made.up", Dialect("made.up", MadeUpReader, CHAT.writer, CHAT.requests))


@asynccontextmanager
async def gateway(*script: Any, dialect: str = "made.up", **sections: Any) -> AsyncIterator[tuple[Gateway, Upstream]]:
    async with Upstream() as up, Gateway(one_provider(up, provider={"dialect": dialect}, **sections)) as gw:
        up.queue(*script)
        yield gw, up


async def stream(gw: Gateway) -> list[bytes]:
    client = await gw.client()
    await client.request("POST", "/v1/chat/completions", json=CALL | {"stream": True})
    assert (await client.read_head()).status == 200
    return await client.read_events()


def test_its_reader_is_one_short_file() -> None:
    assert len(Path(made_up_reader.__file__).read_text().splitlines()) <= 60


async def test_a_stream_is_relayed_and_its_end_is_understood() -> None:
    async with gateway(sse_answer(HELLO, WORLD, OVER)) as (gw, up):
        assert await stream(gw) == [HELLO, WORLD, OVER]
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]) == ("ok", COUNTS)
        assert "stream_options" not in (await up.request()).json


async def test_a_stream_without_its_end_is_cut_off() -> None:
    async with gateway(sse_answer(HELLO, WORLD)) as (gw, _):
        *events, last = await stream(gw)
        assert events == [HELLO, WORLD]
        assert b'"code":"upstream_stream_truncated"' in last
        assert (await gw.settled())["outcome"] == "broken"


async def test_a_stream_that_loses_its_connection_after_the_end_is_whole() -> None:
    script = [Headers(200, SSE_HEADERS), Chunk(HELLO), Chunk(OVER), Close()]
    async with gateway(script) as (gw, _):
        assert await stream(gw) == [HELLO, OVER]
        assert (await gw.settled())["outcome"] == "ok"


async def test_an_error_within_a_stream_breaks_it() -> None:
    trouble = sse({"trouble": "Out of words.", "status": 503})
    async with gateway(sse_answer(HELLO, trouble)) as (gw, _):
        assert await stream(gw) == [HELLO, trouble]
        line = await gw.settled()
        assert (line["outcome"], line["detail"]) == ("broken", "Out of words.")


async def test_an_error_before_the_content_becomes_an_http_error() -> None:
    trouble = sse({"trouble": "Not now.", "status": 503})
    async with gateway(sse_answer(trouble)) as (gw, _):
        found = await (await gw.client()).fetch("POST", "/v1/chat/completions", json=CALL | {"stream": True})
        line = await gw.settled()
        assert (found.status, line["outcome"], line["failures"]) == (502, "error", ["up/m server_error"])


async def test_a_whole_answer_is_relayed_and_understood() -> None:
    answer = {"text": "Hello", "by": "their-model", "tokens": TOKENS}
    async with gateway(json_answer(answer)) as (gw, _):
        found = await (await gw.client()).fetch("POST", "/v1/chat/completions", json=CALL)
        assert found.status == 200
        assert {**answer, "_router": found.json["_router"]} == found.json
        assert (await gw.settled())["tokens"] == COUNTS


async def test_an_error_response_reaches_the_client_in_the_clients_dialect() -> None:
    async with gateway(json_answer({"trouble": "Too many words.", "status": 422}, 422)) as (gw, _):
        found = await (await gw.client()).fetch("POST", "/v1/chat/completions", json=CALL)
        assert (found.status, found.json["error"]["message"]) == (422, "Too many words.")
        assert found.json["error"]["type"] == "invalid_request_error"


async def test_the_dialect_of_a_provider_is_that_of_its_answers_for_text_only() -> None:
    answer = {"object": "list", "model": "up-model", "data": [], "usage": {"prompt_tokens": 8}}
    async with gateway(json_answer(answer)) as (gw, _):
        found = await (await gw.client()).fetch("POST", "/v1/embeddings", json={"model": "m", "input": "Hi"})
        assert found.status == 200
        assert (await gw.settled())["tokens"]["input"] == 8


async def test_a_dialect_that_is_not_in_the_table_is_a_mistake_in_the_configuration() -> None:
    async with Upstream() as up:
        with pytest.raises(ConfigError, match=r"providers\.up\.dialect: 'made\.down' is not a known dialect"):
            async with Gateway(one_provider(up, provider={"dialect": "made.down"})):
                pass
