"""Recorded traffic of Anthropic's Messages API through the gateway: every byte arrives, in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import Chunk, Close, Headers, LastChunk, Upstream
from tests.support.gateway import Gateway
from tests.support.recorded import MISSING, Case, cases

ALL = [*cases("anthropic"), *cases("gemini", "vertex-anthropic*"), *cases("composed", "anthropic*")]
BROKEN = "composed/anthropic-overloaded-midstream"  # ends with the provider's own error
WHOLE = [case for case in ALL if case.streamed and str(case) != BROKEN]
NAMED = {"model": "claude-x", "max_tokens": 9, "messages": []}  # for a recording without a request, or a model

pytestmark = pytest.mark.skipif(not ALL, reason=MISSING)


def request(case: Case) -> bytes:
    recorded = json.loads(case.request or b"{}")
    if "model" in recorded and recorded.get("stream", False) == case.streamed:
        return case.request
    return json.dumps(NAMED | recorded | {"stream": case.streamed}).encode()


async def through(case: Case, *end: Any) -> tuple[Any, bytes, dict[str, Any]]:
    """What the client gets, what the provider got, and what was settled."""
    body = request(case)
    chunked = [] if end else [("Transfer-Encoding", "chunked")]
    pieces = case.chunks if end else [*map(Chunk, case.chunks), LastChunk()]
    async with Upstream() as up:
        config = {
            "routing": {"maxRetries": 0, "rateLimitRetries": 0},
            "providers": {"up": {"kind": "anthropic", "baseUrl": up.url, "apiKey": "k"}},
            "models": [{"name": json.loads(body)["model"], "provider": "up"}],
        }
        async with Gateway(config) as gw:
            up.queue([Headers(case.status, [*case.replay_headers, *chunked]), *pieces, *end])
            headers = [("Content-Type", "application/json"), ("anthropic-version", "2023-06-01")]
            answer = await (await gw.client()).fetch("POST", "/v1/messages", headers=headers, body=body)
            return answer, bytes((await up.request()).body), await gw.settled()


@pytest.mark.parametrize("case", ALL, ids=str)
async def test_a_recorded_exchange_is_relayed_byte_for_byte(case: Case) -> None:
    answer, sent, line = await through(case)
    assert sent == request(case)
    assert (answer.status, answer.body) == (case.status, case.response)
    assert line["outcome"] == ("error" if case.status >= 400 else "broken" if str(case) == BROKEN else "ok")
    assert (line["tokens"] is not None) == (case.status == 200)


@pytest.mark.parametrize("case", WHOLE, ids=str)
async def test_a_stream_that_ends_with_its_connection_is_complete(case: Case) -> None:
    answer, _, line = await through(case, Close())
    assert (answer.body, line["outcome"]) == (case.response, "ok")
