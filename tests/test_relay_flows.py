"""Relayed bytes between real sockets: endings, errors, splices."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import (
    Answer,
    Chunk,
    Close,
    HalfClose,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Send,
    Signal,
    Stall,
    Upstream,
    Wait,
    answered_by,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    unspliced,
    within,
)
from tests.support.answers import DONE, SSE_HEADERS, USAGE, compact
from tests.support.gateway import Gateway, one_provider
from tests.support.pump import split

MESSAGES = [{"role": "user", "content": "Hi"}]
CHAT = "/v1/chat/completions"
CALLS: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": MESSAGES},
    "completions": {"prompt": "Hi"},
    "responses": {"input": "Hi"},
}

ROLE, HELLO, WORLD, STOP, _ = chat_events("Hello", " world")
COUNT = chat_events(usage=USAGE)[-2]
TEXT = sse({"object": "text_completion", "choices": [{"index": 0, "text": "Hello", "finish_reason": None}]})


def response(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind} | members))


CREATED = response("response.created", response={"model": "up-model"}, sequence_number=0)
DELTA = response("response.output_text.delta", delta="Hello", sequence_number=1)
# What begins a stream of each dialect, as far as its first content.
BEGINNINGS = {"chat/completions": ROLE + HELLO, "completions": TEXT, "responses": CREATED + DELTA}
QUIET = {"chat/completions": ROLE, "completions": b": wait\n\n", "responses": CREATED}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


async def post(client: RawClient, endpoint: str = "chat/completions", **members: Any) -> None:
    await client.request("POST", f"/v1/{endpoint}", json={"model": "m"} | CALLS.get(endpoint, {}) | members)


async def fetch(client: RawClient, endpoint: str = "chat/completions", **members: Any) -> Answer:
    await post(client, endpoint, **members)
    return await client.read_answer()


def last_error(body: bytes) -> dict[str, Any]:
    """The error in the last event, wherever the dialect puts it."""
    document: dict[str, Any] = json.loads(body.rstrip(b"\n").rpartition(b"data: ")[2])
    error: dict[str, Any] = document["error"]
    return error


# The content commit


@pytest.mark.parametrize("endpoint", CALLS)
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}, 429, "rate_limit_exceeded"),
        ({"message": "Slow down.", "code": 503}, 502, "503"),
        ({"message": "Slow down.", "code": 401}, 502, "upstream_auth_failed"),
        ({"message": "Slow down.", "code": 402}, 402, "402"),
        ({"message": "Slow down.", "code": 403}, 403, "403"),
        ({"message": "Slow down.", "code": 422}, 422, "422"),
        ({"message": "Slow down.", "type": "overloaded_error"}, 502, "upstream_error_in_stream"),
        ({"message": "Slow down.", "code": "context_length_exceeded"}, 502, "context_length_exceeded"),
        ({"message": "Slow down."}, 502, "upstream_error_in_stream"),
    ],
)
async def test_an_error_before_the_first_content_becomes_a_real_status(
    up: Upstream, endpoint: str, error: dict[str, Any], status: int, code: str
) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(QUIET[endpoint], sse({"error": error}), DONE))
        answer = await fetch(await gw.client(), endpoint, stream=True)
        assert answer.status == status
        assert answer.header("content-type") == "application/json"
        auth = code == "upstream_auth_failed"
        message = "The provider refused the gateway's credential." if auth else "Slow down."
        assert (answer.json["error"]["message"], answer.json["error"]["code"]) == (message, code)
        assert answer.header("x-router-provider") == "up"
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["status"]) == ("error", code, status)


async def test_filter_results_of_azure_do_not_commit_the_response(up: Upstream) -> None:
    filtered = sse({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(filtered, ROLE, sse(error_json("Filtered.", code="content_filter"))))
        up.queue(sse_answer(filtered, ROLE, HELLO, STOP, DONE))
        client = await gw.client()
        assert (await fetch(client, stream=True)).json["error"]["code"] == "content_filter"
        assert (await fetch(client, stream=True)).body == filtered + ROLE + HELLO + STOP + DONE


async def test_nothing_is_sent_before_the_first_content(up: Upstream) -> None:
    sent, go = asyncio.Event(), asyncio.Event()
    async with Gateway(one_provider(up)) as gw:
        up.queue(
            [Headers(200, SSE_HEADERS), Chunk(ROLE), Signal(sent), Wait(go), Chunk(HELLO), Chunk(STOP), LastChunk()]
        )
        client = await gw.client()
        await post(client, stream=True)
        await within(sent.wait(), "the role to be sent")
        # Another answer on another connection proves that the role has been read by then.
        assert (await (await gw.client()).fetch("GET", "/health")).status == 200
        assert client.received == b""
        go.set()
        assert (await client.read_answer()).body == ROLE + HELLO + STOP


@pytest.mark.parametrize("quiet", [b"", ROLE])
@pytest.mark.parametrize(
    ("head", "ending", "code"),
    [
        (SSE_HEADERS, [LastChunk()], None),
        (SSE_HEADERS, [Close()], "upstream_disconnected"),
        (SSE_HEADERS, [Reset()], "upstream_disconnected"),
        (SSE_HEADERS, [Send(b"zz\r\n")], "upstream_broken_answer"),
        (SSE_HEADERS[:1], [Close()], None),
    ],
)
async def test_a_200_that_ends_without_content_is_a_502(
    up: Upstream, quiet: bytes, head: Any, ending: list[Any], code: str | None
) -> None:
    async with Gateway(one_provider(up)) as gw:
        first = [Chunk(quiet) if len(head) > 1 else Send(quiet)] if quiet else []
        # Only a stale connection allows a second request; here all connections are new.
        up.queue([Headers(200, head), *first, *ending])
        answer = await fetch(await gw.client(), stream=True)
        assert answer.status == 502
        expected = code or ("upstream_stream_truncated" if quiet else "upstream_empty_answer")
        assert answer.json["error"]["code"] == expected
        assert len(up.requests) == 1


@pytest.mark.parametrize("before", [b"", ROLE, b": c\n\n"])
async def test_done_without_content_is_a_502(up: Upstream, before: bytes) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(*([before] if before else []), DONE))
        answer = await fetch(await gw.client(), stream=True)
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_empty_answer")


async def test_a_ping_commits_the_status_but_not_the_content(up: Upstream) -> None:
    go = asyncio.Event()
    async with Gateway(one_provider(up, server={"pingAfter": 0.05})) as gw:
        up.on(
            lambda request: [
                Headers(200, SSE_HEADERS),
                Chunk(QUIET[request.target.removeprefix("/v1/")]),
                Wait(go),
                Chunk(sse(error_json("Late.", code="c"))),
                LastChunk(),
            ]
        )
        client, other = await gw.client(), await gw.client()
        await post(client, stream=True)
        await post(other, "responses", stream=True)
        for one in (client, other):
            head = await one.read_head()
            assert (head.status, head.header("content-type")) == (200, "text/event-stream; charset=utf-8")
            assert await one.read_event() == b": ping\n\n"
        go.set()
        assert last_error(await client.read_body())["message"] == "Late."
        body = await other.read_body()
        assert body.startswith(b"event: response.failed\ndata: ")
        assert last_error(body)["message"] == "Late."
        assert (await gw.settled())["outcome"] == "broken"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, compact(completion("whole")), "The provider's answer is no event stream."),
        (422, compact(error_json("Broken.")), "Broken."),
        (400, b"<html>", "The provider reported an error."),
        (500, compact(error_json("Broken.")), "The provider failed: status 500. It said: Broken."),
        (503, b"<html>", "The provider failed: status 503."),
        (
            404,
            compact(error_json("The model does not exist.")),
            "The provider failed: status 404. It said: The model does not exist.",
        ),
        (
            401,
            compact(error_json("Incorrect API key provided: sk-1")),
            "The provider failed: status 401.",
        ),
    ],
)
async def test_anything_but_an_event_stream_after_a_ping_is_an_in_band_error(
    up: Upstream, status: int, body: bytes, message: str
) -> None:
    go = asyncio.Event()
    async with Gateway(one_provider(up, server={"pingAfter": 0.05})) as gw:
        up.queue(
            [
                Wait(go),
                Headers(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]),
                body,
            ]
        )
        client = await gw.client()
        await post(client, stream=True)
        assert (await client.read_head()).status == 200
        assert await client.read_event() == b": ping\n\n"
        go.set()
        rest = await client.read_body()
        assert last_error(rest)["message"] == message
        assert rest.count(b"data: ") == 1
        assert (await gw.settled())["outcome"] == "broken"


# Breaking after the commit


BREAKS: dict[str, tuple[list[Any], str]] = {
    "ends": ([LastChunk()], "upstream_stream_truncated"),
    "closes": ([Close()], "upstream_disconnected"),
    "half-closes": ([HalfClose(), Stall()], "upstream_disconnected"),
    "resets": ([Reset()], "upstream_disconnected"),
    "breaks its framing": ([Send(b"zz\r\n")], "upstream_broken_answer"),
    "stalls": ([Stall()], "timeout_idle"),
    "ends within an event": ([Chunk(HELLO[:30]), LastChunk()], "upstream_stream_truncated"),
    "closes within an event": ([Chunk(HELLO[:30]), Close()], "upstream_disconnected"),
}


@pytest.mark.parametrize("ending", BREAKS)
@pytest.mark.parametrize("endpoint", CALLS)
async def test_a_broken_stream_ends_with_an_in_band_error(up: Upstream, endpoint: str, ending: str) -> None:
    steps, code = BREAKS[ending]
    begun = asyncio.Event()
    async with Gateway(one_provider(up, timeouts={"idle": 0.1 if code == "timeout_idle" else 10})) as gw:
        up.queue([Headers(200, SSE_HEADERS), Chunk(BEGINNINGS[endpoint]), Wait(begun), *steps])
        up.queue(json_answer(completion()))
        client = await gw.client()
        await post(client, endpoint, stream=True)
        assert (await client.read_head()).status == 200
        if code != "timeout_idle":
            assert await client.read_event()
            begun.set()
        body = await client.read_body()
        event = body[body.rindex(b"\n\n", 0, -2) + 2 :] if body.count(b"\n\n") > 1 else body
        assert event.startswith(b"event: response.failed\ndata: {" if endpoint == "responses" else b'data: {"error":{')
        assert last_error(body)["code"] == code
        assert b"[DONE]" not in client.received
        begun.set()
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["status"]) == ("broken", code, 200)
        # The client's connection is in order: only the stream has ended.
        assert (await fetch(client, "embeddings", input="x")).status == 200


async def test_a_failure_after_done_is_still_a_complete_response(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, (ROLE, HELLO, STOP, DONE)), Reset()])
        answer = await fetch(await gw.client(), stream=True)
        assert answer.body == ROLE + HELLO + STOP + DONE
        assert (await gw.settled())["outcome"] == "ok"


@pytest.mark.parametrize("ending", [Close(), Reset(), Stall(), Send(b"zz\r\n")], ids=lambda step: type(step).__name__)
@pytest.mark.parametrize(
    ("options", "events", "whole"),
    [
        (None, [STOP], True),
        ({"include_usage": False}, [STOP], True),
        ({"include_usage": True}, [STOP, COUNT], True),
        ({"include_usage": True}, [STOP], False),
    ],
)
async def test_done_is_added_to_a_truncated_stream_unless_usage_is_missing(
    up: Upstream, ending: Any, options: Any, events: list[bytes], whole: bool
) -> None:
    async with Gateway(one_provider(up, timeouts={"idle": 0.1})) as gw:
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, (ROLE, HELLO, *events)), ending])
        given = {} if options is None else {"stream_options": options}
        answer = await fetch(await gw.client(), stream=True, **given)
        begun = ROLE + HELLO + b"".join(events)
        if whole:
            assert answer.body == begun + DONE
            assert (await gw.settled())["outcome"] == "ok"
        else:
            assert answer.body.startswith(begun + b'data: {"error":')
            assert b"[DONE]" not in answer.body
            assert (await gw.settled())["outcome"] == "broken"


async def test_the_client_does_not_wait_for_a_provider_after_done(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, (ROLE, HELLO, STOP, DONE)), Stall()])
        client = await gw.client()
        await post(client, stream=True)
        await client.read_head()
        assert [await client.read_event() for _ in range(4)] == [ROLE, HELLO, STOP, DONE]
        client.close()  # as the SDKs do
        assert (await gw.settled())["outcome"] == "ok"
        await within((await up.request(0)).gone.wait(), "the provider's connection to be closed")


async def test_without_done_every_choice_must_finish(up: Upstream) -> None:
    finishes = [sse({"choices": [{"index": i, "delta": {}, "finish_reason": "stop"}]}) for i in range(2)]
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        up.queue(
            sse_answer(HELLO, *finishes), sse_answer(HELLO, finishes[0]), sse_answer(HELLO, finishes[0], finishes[0])
        )
        assert (await fetch(client, stream=True, n=2)).body == HELLO + b"".join(finishes)
        for _ in range(2):
            body = (await fetch(client, stream=True, n=2)).body
            assert last_error(body)["code"] == "upstream_stream_truncated"
        assert [line["outcome"] for line in gw.exchanges] == ["ok", "broken", "broken"]


@pytest.mark.parametrize("ending", ["broken", "whole"])
async def test_a_stream_of_another_schema_is_complete_only_by_http_framing(up: Upstream, ending: str) -> None:
    partial = sse({"type": "image_generation.partial_image", "b64_json": "AAAA"})
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, SSE_HEADERS), Chunk(partial), LastChunk() if ending == "whole" else Reset()])
        answer = await fetch(await gw.client(), "images/generations", prompt="x", stream=True)
        line = await gw.settled()
        if ending == "whole":
            assert (answer.body, line["outcome"]) == (partial, "ok")
        else:
            assert last_error(answer.body)["code"] == "upstream_disconnected"
            assert line["outcome"] == "broken"


async def test_leaving_a_stream_of_another_schema_is_a_client_disconnect(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, SSE_HEADERS), Chunk(sse({"type": "image_generation.partial_image"})), Stall()])
        client = await gw.client()
        await post(client, "images/generations", prompt="x", stream=True)
        await client.read_head()
        await client.read_event()
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"


async def test_a_last_event_without_its_blank_line_arrives_complete(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(ROLE, HELLO, STOP, DONE.rstrip(b"\n")))
        assert (await fetch(await gw.client(), stream=True)).body == ROLE + HELLO + STOP + DONE


async def test_dropped_events_are_counted_and_logged_as_damage(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(ROLE, HELLO, b"data: <br>\n\n", b"data:\n\n", STOP, DONE))
        client = await gw.client()
        comment = b": _router " + compact(answered_by() | {"lost_events": 1}) + b"\n\n"
        assert (await fetch(client, stream=True)).body == ROLE + HELLO + STOP + comment + DONE
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["level"]) == ("damaged", "upstream_event_lost", "warning")
        [warning] = [
            line for line in map(json.loads, gw.log_lines) if line["event"] == "log" and line["level"] == "warning"
        ]
        assert (warning["provider"], warning["events"], warning["lost"]) == ("up", 2, 1)
        assert warning["request_id"] == gw.exchanges[0]["request_id"]
        metrics = (await client.fetch("GET", "/metrics")).body
        assert b"\nllm_events_dropped_total 2\n" in metrics
        assert b'model="up-model",outcome="damaged"} 1\n' in metrics


async def test_events_without_data_are_dropped_without_damage(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(b"retry: 100\n\n", ROLE, HELLO, b"data:\n\n", STOP, DONE))
        assert (await fetch(await gw.client(), stream=True)).body == ROLE + HELLO + STOP + DONE
        assert (await gw.settled())["outcome"] == "ok"


LOGPROB = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"logprob":-Infinity}]}}]}\n\n'
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"\xf0\x9f"}}]}\n\n'


@pytest.mark.parametrize("event", [LOGPROB, HALF], ids=["-Infinity", "half a character"])
@pytest.mark.parametrize("endpoint", ["chat/completions", "images/generations"])
async def test_a_malformed_event_is_relayed_unchanged_and_logged(up: Upstream, endpoint: str, event: bytes) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(ROLE, event, event, STOP, DONE))
        answer = await fetch(await gw.client(), endpoint, prompt="x", stream=True)
        assert answer.body == ROLE + event + event + STOP + DONE
        assert (await gw.settled())["outcome"] == "ok"
        [warning] = [line for line in map(json.loads, gw.log_lines) if line["level"] == "warning"]
        assert "strict parsers refuse" in warning["message"]
        assert (warning["provider"], warning["events"]) == ("up", 2)


@pytest.mark.parametrize(
    "body", [b'{"model":"up-model","choices":[],"score":NaN}', b'{"model":"up-model","text":"caf\xe9"}']
)
async def test_a_malformed_plain_response_is_relayed_unchanged(up: Upstream, body: bytes) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]), Send(body)])
        answer = await fetch(await gw.client())
        assert (answer.status, answer.body) == (200, body)  # no _router: nothing is spliced into it
        assert answer.header("x-router-provider") == "up"
        assert (await gw.settled())["outcome"] == "ok"
        [warning] = [line for line in map(json.loads, gw.log_lines) if line["level"] == "warning"]
        assert "strict parsers refuse" in warning["message"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_unrequested_compressed_stream_is_decoded_event_by_event(up: Upstream, coding: str) -> None:
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    pieces = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in (ROLE, HELLO, STOP)]
    go = asyncio.Event()
    async with Gateway(one_provider(up)) as gw:
        end = packer.compress(DONE) + packer.flush()
        up.queue(
            [
                Headers(200, [*SSE_HEADERS, ("Content-Encoding", coding)]),
                *map(Chunk, pieces),
                Wait(go),
                Chunk(end),
                LastChunk(),
            ]
        )
        client = await gw.client()
        await post(client, stream=True)
        head = await client.read_head()
        assert head.header("content-encoding") is None
        assert [await client.read_event() for _ in range(3)] == [ROLE, HELLO, STOP]
        go.set()
        assert await client.read_body() == DONE


# stream_options


@pytest.mark.parametrize(
    ("setting", "options", "sent", "relayed"),
    [
        ("auto", None, {"include_usage": True}, False),
        ("auto", {}, {"include_usage": True}, False),
        ("auto", {"include_usage": False}, {"include_usage": True}, False),
        ("auto", {"include_usage": True}, {"include_usage": True}, True),
        ("auto", {"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}, False),
        ("always", None, {"include_usage": True}, False),
        ("always", {"include_usage": True, "x": 1}, {"include_usage": True, "x": 1}, True),
        ("never", None, None, True),
        ("never", {"include_usage": True}, {"include_usage": True}, True),
        ("never", {"include_usage": False}, {"include_usage": False}, True),
    ],
)
@pytest.mark.parametrize("endpoint", ["chat/completions", "completions"])
async def test_usage_is_requested_and_removed_for_clients_that_did_not_request_it(
    up: Upstream, endpoint: str, setting: str, options: Any, sent: Any, relayed: bool
) -> None:
    async with Gateway(one_provider(up, provider={"usageInStream": setting})) as gw:
        begin = BEGINNINGS[endpoint]
        up.queue(sse_answer(begin, STOP, COUNT, DONE))
        given = {} if options is None else {"stream_options": options}
        answer = await fetch(await gw.client(), endpoint, stream=True, **given)
        assert (await up.request()).json.get("stream_options") == sent
        assert answer.body == begin + STOP + (COUNT if relayed else b"") + DONE
        assert (await gw.settled())["tokens"]["input"] == 9


@pytest.mark.parametrize(
    ("endpoint", "members"),
    [("responses", {"stream": True}), ("chat/completions", {}), ("chat/completions", {"stream": False})],
)
async def test_usage_is_requested_only_if_needed(up: Upstream, endpoint: str, members: dict[str, Any]) -> None:
    async with Gateway(one_provider(up, provider={"usageInStream": "always"})) as gw:
        up.queue(json_answer(completion()))
        await fetch(await gw.client(), endpoint, **members)
        assert "stream_options" not in (await up.request()).json


async def test_a_provider_that_rejects_the_usage_option_gets_later_requests_without_it(up: Upstream) -> None:
    refusal = json_answer(error_json("Unknown parameter: 'stream_options'.", kind="invalid_request_error"), 400)
    async with Gateway(one_provider(up)) as gw:
        up.queue(refusal, sse_answer(ROLE, HELLO, STOP, DONE), sse_answer(ROLE, HELLO, STOP, DONE))
        client = await gw.client()
        first, second = await fetch(client, stream=True), await fetch(client, stream=True)
        assert first.body == second.body == ROLE + HELLO + STOP + DONE
        assert ["stream_options" in request.json for request in up] == [True, False, False]
        assert (first.header("x-router-attempts"), second.header("x-router-attempts")) == ("2", "1")


async def test_rejected_options_of_a_client_do_not_change_later_requests(up: Upstream) -> None:
    refusal = json_answer(error_json("stream_options.x is unknown.", kind="invalid_request_error"), 400)
    async with Gateway(one_provider(up)) as gw:
        up.queue(refusal, refusal, sse_answer(ROLE, HELLO, STOP, COUNT, DONE))
        client = await gw.client()
        answer = await fetch(client, stream=True, stream_options={"x": 1})
        assert (answer.status, answer.json["error"]["message"]) == (400, "stream_options.x is unknown.")
        await fetch(client, stream=True)
        assert [request.json.get("stream_options") for request in up] == [
            {"x": 1, "include_usage": True}, {"x": 1}, {"include_usage": True},
        ]  # fmt: skip


@pytest.mark.parametrize("setting", ["always", "auto"])
async def test_other_rejections_are_not_retried(up: Upstream, setting: str) -> None:
    refusal = error_json(
        "Unknown parameter: 'stream_options'." if setting == "always" else "No.",
        kind="invalid_request_error",
        code="odd",
    )
    async with Gateway(one_provider(up, provider={"usageInStream": setting})) as gw:
        up.queue(json_answer(refusal, 400))
        answer = await fetch(await gw.client(), stream=True)
        assert (answer.status, answer.json) == (400, refusal)
        assert len(up.requests) == 1


# Splices


async def test_a_spliced_request_keeps_every_other_byte(up: Upstream) -> None:
    body = (
        b'{ "x":1.0e+2 ,\n\t"messages": [ {"role":"user","content":"\\u00e9 \xc3\xa9 \\"model\\":\\"m\\"" } ],'
        b'\r\n"model" :"\\u006d", "stream": true,"nested":{"model":"m","stream_options":{}} , "x":2 }'
    )
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(ROLE, HELLO, STOP, DONE))
        await (await gw.client()).fetch("POST", CHAT, headers=[("Content-Type", "application/json")], body=body)
        expected = body.replace(b'"\\u006d"', b'"up-model"').replace(
            b'"x":2 }', b'"x":2,"stream_options":{"include_usage":true} }'
        )
        assert bytes((await up.request()).body) == expected


@pytest.mark.parametrize("setting", ["never", "always"])
async def test_a_request_without_changes_is_sent_byte_for_byte(up: Upstream, setting: str) -> None:
    body = b'\n{"model": "up-model", "stream":true ,"stream_options":{ "include_usage": true}, "messages":[]}\n'
    async with Gateway(one_provider(up, provider={"usageInStream": setting})) as gw:
        up.queue(sse_answer(ROLE, HELLO, STOP, DONE))
        await (await gw.client()).fetch("POST", CHAT, body=body)
        assert bytes((await up.request()).body) == body


@pytest.mark.parametrize(
    ("stream", "sent"), [({}, True), ({"stream": False}, True), ({"stream": None}, True), ({"stream": True}, True)]
)
async def test_the_streaming_path_forces_the_stream(up: Upstream, stream: dict[str, Any], sent: bool) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(ROLE, HELLO, STOP, COUNT, DONE))
        answer = await fetch(await gw.client(), "chat/completions/stream", messages=MESSAGES, **stream)
        request = await up.request()
        assert request.target == CHAT
        assert request.json["stream"] is sent
        assert request.json["stream_options"] == {"include_usage": True}
        assert answer.body == ROLE + HELLO + STOP + DONE


# JSON answers


@pytest.mark.parametrize("blank", [b"", b"\n\n\n", b"\r\n \t"])
async def test_a_json_response_is_relayed_byte_for_byte(up: Upstream, blank: bytes) -> None:
    body = blank + json.dumps(completion("ü\ud83d"), indent=2).encode() + b"\n"
    async with Gateway(one_provider(up)) as gw:
        pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
        up.queue(
            [
                Headers(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]),
                *map(Chunk, pieces),
                LastChunk(),
            ]
        )
        answer = await fetch(await gw.client())
        assert unspliced(answer.body) == (body, answered_by())
        assert answer.header("content-length") == str(len(answer.body))
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]["input"], line["tokens"]["output"]) == ("ok", 9, 2)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 502, "upstream_empty_answer"),
        (b"\n\n", 502, "upstream_empty_answer"),
        (b"<html>All is well</html>", 502, "upstream_broken_answer"),
        (b'{"choices":[', 502, "upstream_broken_answer"),
        (b'{"text":\xff}', 502, "upstream_broken_answer"),
        (b"[" * 50_000, 502, "upstream_broken_answer"),
        (compact(error_json("Late.", code="c")), 502, "c"),
        (compact({"error": "Late."}), 502, "upstream_error_in_stream"),
        (compact(error_json("Incorrect API key provided: sk-1", code="401")), 502, "upstream_auth_failed"),
    ],
)
@pytest.mark.parametrize("endpoint", ["chat/completions", "embeddings"])
async def test_an_invalid_200_becomes_an_error(
    up: Upstream, endpoint: str, body: bytes, status: int, code: str
) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(200, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]), Send(body)])
        answer = await fetch(await gw.client(), endpoint)
        assert (answer.status, answer.json["error"]["code"]) == (status, code)
        assert b"sk-1" not in answer.body
        assert b"All is well" not in answer.body
        assert (await gw.settled())["error"] == code


async def test_a_truncated_json_response_is_a_502(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(
            [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "1000")]), b'{"choices":[', Close()]
        )
        answer = await fetch(await gw.client())
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_disconnected")


async def test_a_json_response_over_the_limit_streams(up: Upstream) -> None:
    body = compact(completion("x" * 200_000))
    async with Gateway(one_provider(up, server={"maxAnswerMb": 0.1})) as gw:
        up.queue(json_answer(completion("x" * 200_000)))
        answer = await fetch(await gw.client())
        assert answer.body == body


async def test_a_response_over_the_process_buffer_limit_is_a_503(up: Upstream) -> None:
    async with Gateway(one_provider(up, server={"maxBufferedMb": 0.1})) as gw:
        up.queue(json_answer(completion("x" * 200_000)), json_answer(completion("x")))
        client = await gw.client()
        answer = await fetch(client)
        assert (answer.status, answer.json["error"]["code"]) == (503, "buffers_full")
        assert answer.header("retry-after") is not None
        assert (await fetch(client)).status == 200


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 413, 415, 422, 451])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_error_is_relayed_byte_for_byte(up: Upstream, status: int, stream: bool) -> None:
    error = json.dumps(error_json("Broken on purpose", code="c") | {"extra": [1.0]}, indent=1).encode()
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", str(len(error))),
        ("Retry-After", "7"),
        ("x-should-retry", "true"),
    ]
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(status, headers, "Whatever"), Send(error)])
        answer = await fetch(await gw.client(), stream=stream)
        assert (answer.status, answer.body) == (status, error)
        assert answer.header("content-type") == "application/json"
        assert (answer.header("retry-after"), answer.header("x-should-retry")) == ("7", "true")
        line = await gw.settled()
        assert (line["outcome"], line["error"]) == ("error", f"upstream_{status}")
        assert line["detail"].startswith("Broken on purpose")


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [(408, 502, "c"), (425, 502, "c"), (429, 429, "c")]
    + [(status, 502, "c") for status in (500, 502, 503, 504, 520, 529)],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_account_error_becomes_a_gateway_error(
    up: Upstream, status: int, expected: int, code: str, stream: bool
) -> None:
    error = compact(error_json("Broken on purpose for secret-key of org-Ab12cd34", kind="account_x", code="c"))
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(error))),
        ("Retry-After", "7"),
        ("x-should-retry", "false"),
    ]
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(status, headers, "Whatever"), Send(error)])
        answer = await fetch(await gw.client(), stream=stream)
        assert answer.status == expected
        assert answer.json["error"] == {
            "message": f"The provider failed: status {status}. It said: Broken on purpose for *** of org-***",
            "type": "rate_limit_error" if expected == 429 else "upstream_error",
            "param": None,
            "code": code,
        }
        wait = "7" if expected == 429 else None  # longer than SDKs should sleep for anything else
        assert (answer.header("retry-after"), answer.header("x-should-retry")) == (wait, None)
        for secret in ("secret-key", "Ab12cd34", "account_x", up.url):
            assert secret not in str(answer)
        assert len(up.requests) == 1
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["status"]) == ("error", code, expected)
        assert line["detail"].startswith("Broken on purpose")


async def test_a_404_of_a_wrong_address_names_the_address_in_the_log_only(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider={"baseUrl": f"{up.origin}/v2"})) as gw:
        up.queue(json_answer({"detail": "Not Found"}, 404))
        answer = await fetch(await gw.client())
        assert answer.status == 404
        assert up.origin not in str(answer)
        detail = (await gw.settled())["detail"]
        assert detail == f"Not Found (requested at {up.origin}/v2/chat/completions: check providers.up)"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"detail": "Too odd"}, {"message": "Too odd", "code": "upstream_400"}),
        ({"error": "Too odd"}, {"message": "Too odd", "code": "upstream_400"}),
        ({"error": {"message": "Too odd", "type": "invalid_request_error", "param": None}}, {"message": "Too odd"}),
    ],
)
async def test_an_error_in_another_shape_reaches_the_client_as_openais(
    up: Upstream, body: dict[str, Any], error: dict[str, str]
) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(json_answer(body, 400))
        answer = await fetch(await gw.client())
        expected = {"type": "invalid_request_error", "param": None, "code": "upstream_400"} | error
        assert (answer.status, answer.json) == (400, {"error": expected})


async def test_a_404_about_the_model_becomes_a_gateway_error(up: Upstream) -> None:
    missing = error_json("The model `up-model` does not exist.", kind="invalid_request_error", code="model_not_found")
    async with Gateway(one_provider(up)) as gw:
        up.queue(json_answer(missing, 404))
        client = await gw.client()
        answer = await fetch(client)
        assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
        assert answer.json["error"]["message"].endswith("It said: The model `up-model` does not exist.")
        # No second request to this endpoint.
        again = await fetch(client)
        assert (again.status, again.json["error"]["code"]) == (404, "model_not_found")
        assert again.json["error"]["message"] == "No model could answer (up/m: the provider does not know the model)."
        assert len(up.requests) == 1


@pytest.mark.parametrize(
    "body", [b"<html><body>Bad gateway at cdn-7.example</body></html>", b"", b"no healthy upstream", b"\xff"]
)
@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [(400, 400, "upstream_400"), (502, 502, "upstream_server_error"), (503, 502, "upstream_server_error")],
)
async def test_an_error_page_of_a_cdn_becomes_an_error_object(
    up: Upstream, status: int, expected: int, code: str, body: bytes
) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue([Headers(status, [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]), Send(body)])
        answer = await fetch(await gw.client())
        assert (answer.status, answer.header("content-type")) == (expected, "application/json")
        assert answer.json["error"]["code"] == code
        assert b"cdn" not in answer.body
        assert b"healthy" not in answer.body


@pytest.mark.parametrize("stream", [False, True])
async def test_provider_errors_about_our_credential_are_only_logged(up: Upstream, stream: bool) -> None:
    async with Gateway(one_provider(up)) as gw:
        error = error_json("Incorrect API key provided: secret-key", kind="account_x", code="invalid_api_key")
        up.queue(json_answer(error, 401, [("WWW-Authenticate", 'Bearer realm="provider"')]))
        answer = await fetch(await gw.client(), stream=stream)
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_auth_failed")
        assert (answer.header("x-should-retry"), answer.header("retry-after")) == ("false", None)
        received = bytes((await up.request()).connection.received)
        assert b"secret-key" in received
        for secret in (b"secret-key", b"account_x", b"invalid_api_key", b"realm"):
            assert secret not in answer.body
            assert secret not in str(answer.head).encode()
        line = await gw.settled()
        assert (line["error"], line["detail"]) == ("upstream_auth_failed", "Incorrect API key provided: ***")
        assert "secret-key" not in "".join(gw.log_lines)


# Usage


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'
)
AUDIO = {"type": "tokens", "input_tokens": 14, "output_tokens": 5, "total_tokens": 19}


@pytest.mark.parametrize(
    ("endpoint", "answer", "tokens"),
    [
        ("chat/completions", completion(usage=USAGE | {"prompt_tokens_details": {"cached_tokens": 4},
                                                       "completion_tokens_details": {"reasoning_tokens": 1}}), (5, 4, 1, 1)),
        ("completions", {"model": "up-model", "choices": [], "usage": USAGE}, (9, None, 2, None)),
        ("embeddings", {"model": "up-model", "data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}, (8, None, None, None)),
        ("responses", {"model": "up-model", "output": [], "error": None,
                       "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": 2}}, (0, 9, 2, None)),
        ("images/generations", {"data": [], "usage": AUDIO}, (14, None, 5, None)),
    ],
)  # fmt: skip
async def test_the_usage_of_a_json_response_is_recorded(
    up: Upstream, endpoint: str, answer: dict[str, Any], tokens: tuple[int | None, ...]
) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(json_answer(answer))
        assert unspliced((await fetch(await gw.client(), endpoint)).body) == (compact(answer), answered_by())
        line = await gw.settled()
        assert tuple(line["tokens"].values()) == tokens


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_usage_of_a_transcription_is_recorded(up: Upstream, streamed: bool) -> None:
    done = {"type": "transcript.text.done", "text": "Hi", "usage": AUDIO}
    async with Gateway(one_provider(up)) as gw:
        up.queue(
            sse_answer(sse({"type": "transcript.text.delta", "delta": "Hi"}), sse(done))
            if streamed
            else json_answer({"text": "Hi", "usage": AUDIO})
        )
        answer = await (await gw.client()).fetch(
            "POST", "/v1/audio/transcriptions", headers=[("Content-Type", "multipart/form-data; boundary=b")], body=FORM
        )
        assert answer.status == 200
        line = await gw.settled()
        assert (line["tokens"]["input"], line["tokens"]["output"]) == (14, 5)


@pytest.mark.parametrize("usage", [{"x_groq": {"usage": USAGE}, "choices": []}, {"usage": USAGE, "choices": []}])
async def test_the_usage_of_a_stream_is_recorded_in_any_place(up: Upstream, usage: dict[str, Any]) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(ROLE, HELLO, STOP, sse(usage), DONE))
        await fetch(await gw.client(), stream=True)
        line = await gw.settled()
        assert (line["tokens"]["input"], line["tokens"]["output"]) == (9, 2)


async def test_the_usage_of_a_responses_stream_is_recorded(up: Upstream) -> None:
    last = response(
        "response.completed", response={"model": "up-model", "usage": {"input_tokens": 9, "output_tokens": 2}}
    )
    async with Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(CREATED, DELTA, last))
        answer = await fetch(await gw.client(), "responses", stream=True)
        assert answer.body == CREATED + DELTA + last
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]["input"], line["tokens"]["output"]) == ("ok", 9, 2)


async def test_missing_usage_is_unknown_not_zero(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        up.queue(json_answer(completion(usage=None)), sse_answer(ROLE, HELLO, STOP, DONE))
        client = await gw.client()
        await fetch(client)
        await fetch(client, stream=True)
        await gw.settled(2)
        assert [line["tokens"] for line in gw.exchanges] == [None, None]


# Unrequested compressed responses


async def test_an_unrequested_compressed_json_response_is_decoded(up: Upstream) -> None:
    packed = gzip.compress(compact(completion()))
    async with Gateway(one_provider(up)) as gw:
        up.queue(
            [
                Headers(
                    200,
                    [
                        ("Content-Type", "application/json"),
                        ("Content-Encoding", "gzip"),
                        ("Content-Length", str(len(packed))),
                    ],
                ),
                packed,
            ]
        )
        answer = await fetch(await gw.client())
        assert unspliced(answer.body) == (compact(completion()), answered_by())
        assert answer.header("content-encoding") is None


# Every split, over sockets (in-process there are thousands more: tests/relay/test_events.py)


async def test_every_split_of_a_stream_gives_the_client_the_same_bytes(up: Upstream) -> None:
    big = sse({"choices": [{"index": 0, "delta": {"content": "ü" * 500_000}}]})
    stream = (
        b"\xef\xbb\xbf: waiting\r\n\r\n" + ROLE + HELLO.replace(b"\n", b"\r\n") + b"data: {\r\n\r\n" + WORLD.replace(b"\n", b"\r")
        + b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"two lines"}}]}\n\n' + b"event: x\ndata:\n\n" + big
        + COUNT.replace(b"\n", b"\r\n") + STOP + b"data: [DONE]"
    )  # fmt: skip
    expected = (
        stream.replace(b"data: {\r\n\r\n", b"")
        .replace(b"event: x\ndata:\n\n", b"")
        .replace(COUNT.replace(b"\n", b"\r\n"), b"")
        .replace(b"data: [DONE]", b": _router " + compact(answered_by() | {"lost_events": 1}) + b"\n\n" + DONE)
    )
    edges = [at for at, byte in enumerate(stream) if byte in b"\r\n\xbf"]
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        for seed in range(20):
            chance = random.Random(seed)
            cuts = chance.sample(edges, 10) + chance.sample(range(len(stream)), 10)
            up.queue([Headers(200, SSE_HEADERS), *map(Chunk, split(stream, cuts)), LastChunk()])
            answer = await fetch(client, stream=True)
            assert answer.body == expected
        facts = [(line["outcome"], line["tokens"]) for line in gw.exchanges]
        assert facts == [("damaged", {"input": 9, "cached": None, "output": 2, "reasoning": None})] * 20
