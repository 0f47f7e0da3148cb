"""Which answers are stored: those that are whole, and good for another client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cache.flows import CALL, CHAT, STREAM, ask, cached, state
from tests.support import Headers, Send, Upstream, chat_events, completion, json_answer, sse_answer
from tests.support.gateway import Gateway

RESPONSES = "/v1/responses"
RESPONSE = {"model": "m", "input": "Hi", "store": False}
EVENTS = chat_events("Hello", " world")


def response(status: str) -> dict[str, Any]:
    error = {"code": "server_error", "message": "x"} if status == "failed" else None
    text = {"type": "output_text", "text": "Hello", "annotations": []}
    output = [{"type": "message", "id": "m_1", "role": "assistant", "status": "completed", "content": [text]}]
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "error": error,
        "output": [] if status == "failed" else output,
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }


def events_of(status: str) -> list[bytes]:
    made = {"type": "response.created", "sequence_number": 0, "response": response("in_progress")}
    delta = {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hello", "item_id": "m_1"}
    delta |= {"output_index": 0, "content_index": 0}
    ended = {"type": f"response.{status}", "sequence_number": 2, "response": response(status)}
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in (made, delta, ended)]


async def twice(answer: list[Any], call: Any, path: str) -> list[str | None]:
    async with Upstream() as up, Gateway(cached(up, provider={"dialects": {"responses": {"enabled": True}}})) as gw:
        up.on(lambda request: answer)
        client = await gw.client()
        return [state(await ask(client, call, path=path)) for _ in range(2)]


@pytest.mark.parametrize(("status", "second"), [("completed", "hit"), ("failed", "miss")])
async def test_a_response_that_failed_is_not_kept(status: str, second: str) -> None:
    assert await twice(json_answer(response(status)), RESPONSE, RESPONSES) == ["miss", second]


@pytest.mark.parametrize(("status", "second"), [("completed", "hit"), ("failed", "miss")])
async def test_a_stream_of_a_response_that_failed_is_not_kept(status: str, second: str) -> None:
    assert await twice(sse_answer(*events_of(status)), RESPONSE | {"stream": True}, RESPONSES) == ["miss", second]


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}], "x": NaN}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {"content": \n\n',
    ],
    ids=["lenient", "lost"],
)
async def test_a_stream_with_an_event_that_is_no_json_is_not_kept(event: bytes) -> None:
    assert await twice(sse_answer(EVENTS[0], event, *EVENTS[1:]), STREAM, CHAT) == ["miss", "miss"]


async def test_a_plain_answer_that_is_no_strict_json_is_not_kept() -> None:
    body = json.dumps(completion("Hello") | {"x": float("nan")}).encode()
    lines = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    assert await twice([Headers(200, lines), Send(body)], CALL, CHAT) == ["miss", "miss"]


async def test_a_stream_without_its_end_is_not_kept() -> None:
    assert await twice(sse_answer(*EVENTS[:2]), STREAM, CHAT) == ["miss", "miss"]


@pytest.mark.parametrize("end", [b"\n", b" \r\n", b""])
async def test_white_space_behind_an_answer_does_not_count(end: bytes) -> None:
    body = json.dumps(completion("Hello"), indent=2).encode() + end
    lines = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(lambda request: [Headers(200, lines), Send(body)])
        client = await gw.client()
        answers = [await ask(client) for _ in range(2)]
        assert [answer.json["_router"]["cache"]["status"] for answer in answers] == ["miss", "hit"]
        assert [answer.body.count(b'"_router"') for answer in answers] == [1, 1]


async def test_metadata_of_a_gateway_behind_this_one_is_not_taken_for_its_own() -> None:
    behind = {"provider": "far", "model_name": "x", "attempts": 3, "cache": {"status": "hit", "age": 9}}
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(lambda request: json_answer(completion("Hello") | {"_router": behind}))
        client = await gw.client()
        answers = [await ask(client) for _ in range(2)]
        assert [answer.json["_router"]["cache"]["status"] for answer in answers] == ["miss", "hit"]
        assert [answer.json["_router"]["provider"] for answer in answers] == ["up", "up"]
        first, second = [answer.body.rpartition(b',"_router":')[0] for answer in answers]
        assert first == second
