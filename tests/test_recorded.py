"""Recorded traffic of real providers through the gateway: every byte arrives, except for documented changes.

``SPECIAL`` has every recording that is changed, with the rule that applies.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from proxy.wire.redaction import redacted
from tests.support import Answer, Chunk, Close, Headers, LastChunk, Upstream
from tests.support.answers import answered_by, unspliced
from tests.support.gateway import Gateway, one_provider
from tests.support.pump import relayed, split
from tests.support.recorded import MISSING, Case, cases

ALL = cases()
pytestmark = pytest.mark.skipif(not ALL, reason=MISSING)

ENDPOINTS = ("chat/completions", "completions", "responses", "embeddings", "images/generations", "audio/transcriptions")
# Whose API is not OpenAI's although a path may look like it.
FOREIGN = {"anthropic", "bedrock", "cohere", "gemini"}
# Of these only the bodies were recorded.
BY_NAME = {"chat": "chat/completions", "completions": "completions", "responses": "responses"}
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'
)


def endpoint(case: Case) -> str:
    """Our endpoint for the recording's dialect, ``""`` if none."""
    if case.provider in FOREIGN or case.name.startswith("anthropic"):
        return ""
    path = case.path.partition("?")[0]
    if not path:
        return BY_NAME[case.name.partition("-")[0]]
    return next((name for name in ENDPOINTS if path.endswith("/" + name)), "")


OURS = [case for case in ALL if endpoint(case)]
STREAMS = [case for case in OURS if case.streamed]


def by_name(case: Case) -> str:
    return str(case)


def pieces(case: Case) -> list[bytes]:
    """The network chunks as recorded; where they were not, pieces of any size."""
    if case.framed:
        return case.chunks
    chance = random.Random(str(case))
    cuts = [0]
    while cuts[-1] < len(case.response):
        cuts.append(cuts[-1] + chance.choice((1, 7, 100, 700, 1400, 8000)))
    return list(split(case.response, cuts))


def replay(case: Case) -> list[Any]:
    return [
        Headers(case.status, [*case.replay_headers, ("Transfer-Encoding", "chunked")]),
        *map(Chunk, pieces(case)),
        LastChunk(),
    ]


def request(case: Case, **members: Any) -> bytes:
    """The request as it was recorded, or one that could have been answered so."""
    if endpoint(case) == "audio/transcriptions":
        return FORM
    if case.request and not members:
        return case.request
    made: dict[str, Any] = json.loads(case.request or b'{"model":"m"}') | {"stream": case.streamed} | members
    return json.dumps(made).encode()


def asked_model(body: bytes) -> str:
    """The model in the request; Azure's requests have it in the path."""
    return "whisper-1" if body == FORM else json.loads(body).get("model", "")


def target(case: Case, body: bytes) -> str:
    """A request without a model needs a provider in its path."""
    return f"/v1/{endpoint(case)}" if asked_model(body) else f"/proxy/up/{endpoint(case)}"


def config(up: Upstream, model: str, **provider: Any) -> dict[str, Any]:
    """``model`` is listed, so that the provider's model list is not fetched."""
    return one_provider(up, provider=provider, models=[{"name": model, "provider": "up"}] if model else [])


async def through(case: Case, path: str, body: bytes, **provider: Any) -> tuple[Answer, bytes, dict[str, Any]]:
    """What the client gets, what the provider got, and what was settled."""
    kind = "multipart/form-data; boundary=b" if body == FORM else "application/json"
    model = "" if "passthrough" in provider else asked_model(body)
    async with Upstream() as up, Gateway(config(up, model, **provider)) as gw:
        up.queue(replay(case))
        answer = await (await gw.client()).fetch("POST", path, headers=[("Content-Type", kind)], body=body)
        sent = await up.request()
        return answer, bytes(sent.body), await gw.settled()


def error_of(body: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(body)["error"]
    return error


def hidden(case: Case, answer: Answer) -> None:
    """A provider's 401 is about our credential: the client gets a 502 without its text."""
    assert (answer.status, error_of(answer.body)["code"]) == (502, "upstream_auth_failed")
    assert error_of(case.response)["message"].encode() not in answer.body


def busy(case: Case, answer: Answer) -> None:
    """If every candidate is rate-limited, the client gets our 429 with the provider's Retry-After."""
    [wait] = [value for name, value in case.headers if name.lower() == "retry-after"]
    assert (answer.status, answer.header("retry-after")) == (429, wait)
    assert error_of(answer.body)["code"] == error_of(case.response)["code"]
    assert error_of(answer.body)["message"].endswith(redacted(error_of(case.response)["message"]))


def unknown(case: Case, answer: Answer) -> None:
    """A model unknown to the provider is a gateway 404 with the reason."""
    assert (case.status, answer.status) == (404, 404)
    assert error_of(answer.body)["code"] == "model_not_found"
    assert error_of(answer.body)["message"].endswith(redacted(error_of(case.response)["message"]))


def refused(case: Case, answer: Answer) -> None:
    """A 200 with an error before the first content becomes an error status."""
    assert (answer.status, answer.header("content-type")) == (429, "application/json")
    assert error_of(answer.body)["code"] == "rate_limit_exceeded"
    message = error_of(answer.body)["message"]
    assert "org-***" in message
    assert message in redacted(case.response.decode())


def told_cut(case: Case, answer: Answer) -> None:
    """A stream that ends with neither [DONE] nor a finish reason gets one in-band error."""
    assert answer.status == 200
    assert answer.body.startswith(case.response)
    rest = answer.body.removeprefix(case.response)
    assert error_of(rest.strip().removeprefix(b"data: "))["code"] == "upstream_stream_truncated"


SPECIAL: dict[str, Callable[[Case, Answer], None]] = {
    "openai/responses-json-error-401": hidden,
    "azure/chat-error-429-retry-after": busy,
    "openai/chat-error-404-model": unknown,
    "openai/responses-stream-ratelimit-error": refused,
    "llamabox/chat-stream-bare-error-line": told_cut,
}


# Providers that say themselves, after content, that they failed: nothing is added to their words.
BROKEN = {"groq/chat-stream-error-event", "openrouter/chat-stream-midstream-error"}


def content_type(case: Case) -> str:
    [kind] = [value for name, value in case.headers if name.lower() == "content-type"]
    return kind


def test_every_recording_is_used() -> None:
    assert len(ALL) == 75
    assert len(OURS) == 54
    assert {str(case) for case in OURS} >= SPECIAL.keys()


@pytest.mark.parametrize("case", OURS, ids=by_name)
async def test_a_recorded_exchange_is_relayed_byte_for_byte(case: Case) -> None:
    body = request(case, **({"n": 3} if case.name.endswith("-n3") else {}))
    answer, sent, line = await through(case, target(case, body), body, usageInStream="never")
    assert sent == body
    if special := SPECIAL.get(str(case)):
        special(case, answer)
        return
    if case.status == 200 and not case.streamed:
        [model] = {json.loads(body)["model"]} if body != FORM else {"whisper-1"}
        assert (answer.status, unspliced(answer.body)) == (200, (case.response, answered_by(model)))
    else:
        assert (answer.status, answer.body) == (case.status, case.response)
    # Errors of OpenAI's shape are JSON, whatever a provider calls them (DeepSeek: application/octet-stream).
    assert answer.header("content-type") == ("application/json" if case.status >= 400 else content_type(case))
    assert line["outcome"] == ("error" if case.status >= 400 else "broken" if str(case) in BROKEN else "ok")


@pytest.mark.parametrize("case", [case for case in STREAMS if endpoint(case) != "responses"], ids=by_name)
async def test_the_usage_event_is_removed_unless_requested(case: Case) -> None:
    body = request(case, stream_options={"include_usage": False}, **({"n": 3} if case.name.endswith("-n3") else {}))
    answer, sent, line = await through(case, target(case, body), body)
    assert json.loads(sent)["stream_options"] == {"include_usage": True}
    expected = b"".join(block for block in blocks(case.response) if not tells_only_usage(block))
    assert answer.body.startswith(expected) if str(case) in SPECIAL else answer.body == expected
    if line["tokens"] is not None:
        assert line["tokens"]["output"] is not None
    assert (line["tokens"] is not None) == (
        re.search(rb'"(prompt|completion)_tokens":\s*\d', case.response) is not None
    )


def blocks(stream: bytes) -> list[bytes]:
    """The events with their blank lines, by the simplest means: no recording has a bare CR."""
    return re.split(rb"(?<=\n\n)|(?<=\n\r\n)", stream)


def tells_only_usage(block: bytes) -> bool:
    data = block.strip().removeprefix(b"data:").strip()
    if not data.startswith(b"{"):
        return False
    event = json.loads(data)
    return event.get("choices") == [] and isinstance(event.get("usage"), dict)


@pytest.mark.parametrize("case", ALL, ids=by_name)
async def test_a_passthrough_changes_nothing_at_all(case: Case) -> None:
    """Bedrock's binary frames, Vertex's JSON arrays and every other dialect: bytes are bytes."""
    path = case.path or "/v1/messages"
    answer, sent, _ = await through(case, f"/proxy/up/recorded{path}", case.request, passthrough=["POST /recorded"])
    assert sent == case.request
    assert (answer.status, answer.body) == (case.status, case.response)
    assert answer.header("content-type") == content_type(case)


async def test_a_compressed_passthrough_stays_compressed() -> None:
    [case] = cases("anthropic", "messages-stream-gzip")
    async with Upstream() as up, Gateway(one_provider(up, provider={"passthrough": ["POST /"]})) as gw:
        headers = [*case.replay_headers, ("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")]
        up.queue(
            [Headers(200, headers), *map(Chunk, split(case.raw_gzip, range(0, len(case.raw_gzip), 50))), LastChunk()]
        )
        answer = await (await gw.client()).fetch("POST", "/proxy/up/messages", body=case.request)
        assert answer.body == case.raw_gzip
        assert answer.header("content-encoding") == "gzip"


@pytest.mark.parametrize("case", [case for case in STREAMS if str(case) not in SPECIAL], ids=by_name)
async def test_a_stream_that_ends_with_its_connection_is_complete(case: Case) -> None:
    """Without chunks or length the close is the end (RFC 9112 6.3): the events decide."""
    body = request(case, **({"n": 3} if case.name.endswith("-n3") else {}))
    async with Upstream() as up, Gateway(config(up, asked_model(body), usageInStream="never")) as gw:
        up.queue([Headers(200, case.replay_headers), *pieces(case), Close()])
        answer = await (await gw.client()).fetch("POST", target(case, body), body=body)
        assert answer.body == case.response


# Every split, without sockets


@pytest.mark.parametrize("case", STREAMS, ids=by_name)
def test_no_split_of_a_recording_changes_a_byte_or_a_fact(case: Case) -> None:
    dialect = "openai." + endpoint(case).partition("/")[0]
    options: dict[str, Any] = {"dialect": dialect, "choices": 3 if case.name.endswith("-n3") else 1}
    stream = case.response
    whole = relayed([stream], **options)
    assert str(case) in SPECIAL or whole.body == stream
    assert relayed(split(stream, range(len(stream))), **options) == whole
    chance = random.Random(str(case))
    for cut in range(len(stream)) if len(stream) < 5000 else chance.sample(range(len(stream)), 20):
        assert relayed((stream[:cut], stream[cut:]), **options) == whole
    for size in (10, 300, 4000):
        cuts = chance.sample(range(len(stream)), len(stream) // size)
        assert relayed(split(stream, cuts), **options) == whole
