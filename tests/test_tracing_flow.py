"""Traces as a collector gets them, of real requests over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from proxy.observe import export
from tests.support import Upstream, chat_events, completion, error_json, json_answer, sse_answer
from tests.support.answers import USAGE
from tests.support.collector import Collector, attributes
from tests.support.gateway import Gateway, one_provider
from tests.support.steps import Script
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
SECRET = "a prompt for the provider only"
CALL = {"model": "m", "messages": [{"role": "user", "content": SECRET}]}
ID = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SAMPLED = [("Traceparent", f"00-{ID}-{SPAN}-01"), ("tracestate", "vendor=1")]
NOWHERE = "http://127.0.0.1:1/v1/traces"


def answer(request: Request) -> Script:
    if request.json.get("stream"):
        return sse_answer(*chat_events("Hello", usage=USAGE))
    return json_answer(completion("Hello"))


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(answer)
        yield upstream


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as collector:
        yield collector


def tracing(url: str, **settings: Any) -> dict[str, Any]:
    return {"tracing": {"enabled": True, "endpoint": url} | settings}


def traceparent(request: Request) -> list[str]:
    value = request.header("traceparent")
    assert value is not None
    return value.split("-")


def id_of(span: Span) -> str:
    return span.span_id.hex()


async def test_a_stream_has_two_spans_and_the_provider_gets_the_second(up: Upstream, collector: Collector) -> None:
    before = time.time_ns()
    async with Gateway(one_provider(up, observe=tracing(collector.url))) as gw:
        client = await gw.client()
        headers = [("X-Request-Id", "req-7"), ("Authorization", "Bearer sk-client")]
        reply = await client.fetch("POST", CHAT, json=CALL | {"stream": True}, headers=headers)
        assert reply.status == 200
        request = await up.request()
    [own], [attempt] = collector.exchanges, collector.attempts

    version, trace_id, span_id, flags = traceparent(request)
    assert (version, flags) == ("00", "01")
    assert own.trace_id.hex() == attempt.trace_id.hex() == trace_id
    assert id_of(attempt) == span_id
    assert attempt.parent_span_id == own.span_id
    assert own.parent_span_id == b""
    assert request.header("tracestate") is None

    assert (own.name, attempt.name) == ("chat m", "chat up-model")
    assert before <= own.start_time_unix_nano <= attempt.start_time_unix_nano
    assert attempt.start_time_unix_nano <= attempt.end_time_unix_nano <= own.end_time_unix_nano <= time.time_ns()
    assert [event.name for event in attempt.events] == ["request sent", "response headers", "first content"]

    seen = attributes(own)
    assert 0 <= seen.pop("gen_ai.server.time_to_first_token") < 10
    assert seen == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "up",
        "gen_ai.system": "up",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "up-model",
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 2,
        "http.route": "chat/completions",
        "http.response.status_code": 200,
        "sluice.request_id": "req-7",
        "sluice.outcome": "ok",
        "sluice.attempts": 1,
    }
    seen = attributes(attempt)
    assert 0 <= seen.pop("gen_ai.response.time_to_first_chunk") < 10
    assert seen == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "up",
        "gen_ai.system": "up",
        "gen_ai.request.model": "up-model",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "up-model",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": up.port,
    }
    everything = b"".join(span.SerializeToString() for span in collector.spans)
    for secret in (SECRET, "Hello", "sk-client", "secret-key"):
        assert secret.encode() not in everything


async def test_the_trace_of_the_client_continues_through_the_gateway(up: Upstream, collector: Collector) -> None:
    async with Gateway(one_provider(up, observe=tracing(collector.url, sampleRatio=0))) as gw:
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL, headers=SAMPLED)
        request = await up.request()
    [own], [attempt] = collector.exchanges, collector.attempts
    assert traceparent(request) == ["00", ID, id_of(attempt), "01"]
    assert request.header("tracestate") == "vendor=1"
    assert (own.trace_id.hex(), own.parent_span_id.hex()) == (ID, SPAN)
    assert own.trace_state == attempt.trace_state == "vendor=1"


@pytest.mark.parametrize("settings", [{"enabled": False}, {"sampleRatio": 1}], ids=["off", "on"])
async def test_an_unsampled_trace_passes_through_unchanged(
    up: Upstream, collector: Collector, settings: dict[str, Any]
) -> None:
    headers = [("Traceparent", f"00-{ID}-{SPAN}-00"), ("tracestate", "vendor=1")]
    async with Gateway(one_provider(up, observe=tracing(collector.url, **settings))) as gw:
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL, headers=headers)
        request = await up.request()
        assert set(headers) <= set(request.headers)
    assert collector.requests == []


async def test_without_tracing_a_sampled_trace_passes_through_unchanged(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL, headers=SAMPLED)
        request = await up.request()
        assert set(SAMPLED) <= set(request.headers)


async def test_an_unsampled_request_exports_no_spans(up: Upstream, collector: Collector) -> None:
    async with Gateway(one_provider(up, observe=tracing(collector.url, sampleRatio=0))) as gw:
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
        request = await up.request()
        assert request.header("traceparent") is None
    assert collector.requests == []


@pytest.mark.parametrize("target", ["/v1/audio/transcriptions", "/proxy/up/raw/any"])
async def test_streamed_request_bodies_have_the_attempt_span_too(
    up: Upstream, collector: Collector, target: str
) -> None:
    up.on(lambda request: json_answer({"text": "Hello"}))
    boundary = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--x--\r\n'
    headers = [*SAMPLED, ("Content-Type", "multipart/form-data; boundary=x")]
    provider = {"passthrough": ["POST /raw"]}
    async with Gateway(one_provider(up, provider=provider, observe=tracing(collector.url))) as gw:
        client = await gw.client()
        reply = await client.fetch("POST", target, body=boundary, headers=headers)
        assert reply.status == 200
        request = await up.request()
    [attempt] = collector.attempts
    assert traceparent(request) == ["00", ID, id_of(attempt), "01"]


async def test_a_configured_traceparent_is_the_only_one(up: Upstream, collector: Collector) -> None:
    provider = {"headers": {"Traceparent": f"00-{ID}-{SPAN}-00"}}
    async with Gateway(one_provider(up, provider=provider, observe=tracing(collector.url))) as gw:
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL, headers=[("traceparent", f"00-{'1' * 32}-{SPAN}-01")])
        request = await up.request()
    assert traceparent(request) == ["00", ID, SPAN, "00"]
    assert len(collector.attempts) == 1


async def test_a_failover_has_two_attempt_spans_and_the_first_has_the_error(up: Upstream, collector: Collector) -> None:
    async with Upstream() as broken:
        broken.on(lambda request: json_answer(error_json(SECRET), 503))
        source = {
            "providers": {"broken": {"baseUrl": broken.url}, "up": {"baseUrl": up.url}},
            "models": [{"name": "m", "provider": "broken"}, {"name": "n", "provider": "up"}],
            "observe": tracing(collector.url),
        }
        async with Gateway(source) as gw:
            client = await gw.client()
            reply = await client.fetch("POST", CHAT, json=CALL | {"model": ["m", "n"]})
            assert reply.status == 200
            failed, answered = await broken.request(), await up.request()
    [own], [first, second] = collector.exchanges, collector.attempts
    assert {first.parent_span_id, second.parent_span_id} == {own.span_id}
    assert [traceparent(failed)[2], traceparent(answered)[2]] == [id_of(first), id_of(second)]
    assert [attributes(span)["http.response.status_code"] for span in (first, second, own)] == [503, 200, 200]
    assert [attributes(span)["server.port"] for span in (first, second)] == [broken.port, up.port]
    assert [attributes(span).get("error.type") for span in (first, second, own)] == ["server_error", None, None]
    assert (first.status.code, first.status.message) == (Status.STATUS_CODE_ERROR, "status 503")
    assert own.status.code == second.status.code == Status.STATUS_CODE_UNSET
    assert attributes(own)["sluice.attempts"] == 2
    assert [span.name for span in (own, first, second)] == ["chat m,n", "chat m", "chat n"]
    assert SECRET.encode() not in first.SerializeToString()


async def test_a_request_without_any_attempt_is_an_error_with_its_code(collector: Collector) -> None:
    source = {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        "providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}},
        "models": [{"name": "m", "provider": "up"}],
        "observe": tracing(collector.url),
    }
    async with Gateway(source) as gw:
        client = await gw.client()
        reply = await client.fetch("POST", CHAT, json=CALL, headers=SAMPLED)
        assert reply.status >= 500
        code = (await gw.settled())["error"]
    [own], [attempt] = collector.exchanges, collector.attempts
    assert own.status.code == attempt.status.code == Status.STATUS_CODE_ERROR
    assert attributes(own)["error.type"] == code
    assert attributes(attempt)["error.type"] == "unreachable"
    assert attributes(attempt)["server.address"] == "127.0.0.1"


async def test_rejected_requests_belong_to_the_trace_of_the_client(up: Upstream, collector: Collector) -> None:
    async with Gateway(one_provider(up, observe=tracing(collector.url))) as gw:
        client = await gw.client()
        reply = await client.fetch("GET", "/nowhere", headers=SAMPLED)
        assert reply.status == 404
    [own] = collector.spans
    assert (own.trace_id.hex(), own.parent_span_id.hex()) == (ID, SPAN)
    assert (own.name, own.status.code) == ("refused request", Status.STATUS_CODE_UNSET)


async def test_pages_are_not_traced(up: Upstream, collector: Collector) -> None:
    async with Gateway(one_provider(up, observe=tracing(collector.url))) as gw:
        client = await gw.client()
        reply = await client.fetch("GET", "/health", headers=SAMPLED)
        assert reply.status == 200
    assert collector.spans == []


async def test_the_collector_gets_configured_headers_and_the_service_name(up: Upstream, collector: Collector) -> None:
    settings = {"headers": {"X-Tenant": "acme"}, "serviceName": "the gateway"}
    async with Gateway(one_provider(up, observe=tracing(collector.url, **settings))) as gw:
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
    [(path, headers)] = collector.requests
    assert (path, headers["x-tenant"], headers["content-type"]) == ("/v1/traces", "acme", "application/x-protobuf")
    assert collector.resources[0]["service.name"] == "the gateway"
    assert re.fullmatch(r"[0-9a-f-]{36}", collector.resources[0]["service.instance.id"])


async def test_the_keys_of_langfuse_are_enough_to_send_it_traces(up: Upstream, collector: Collector) -> None:
    environ = {
        "LANGFUSE_PUBLIC_KEY": "pk-lf-1",
        "LANGFUSE_SECRET_KEY": "sk-lf-2",
        "LANGFUSE_BASE_URL": f"http://127.0.0.1:{collector.port}/",
    }
    async with Gateway(one_provider(up), environ=environ) as gw:
        client = await gw.client()
        headers = [("x-router-run", "night-1"), ("x-router-labels", "ticket=7")]
        await client.fetch("POST", CHAT, json=CALL | {"stream": True}, headers=headers)
    [(path, sent)] = collector.requests
    assert path == "/api/public/otel/v1/traces"
    assert sent["authorization"] == "Basic cGstbGYtMTpzay1sZi0y"
    own, attempt = attributes(collector.exchanges[0]), attributes(collector.attempts[0])
    assert (own["session.id"], own["langfuse.trace.tags"]) == ("night-1", '["ticket=7"]')
    assert own["langfuse.observation.type"] == "generation"
    assert "input" in json.loads(own["langfuse.observation.usage_details"])
    assert attempt["langfuse.observation.type"] == "span"
    assert "cGstbGYtMTpzay1sZi0y" not in "".join(gw.log_lines)


async def test_sentry_gets_the_same_spans_by_a_rate_of_its_own(up: Upstream, collector: Collector) -> None:
    dsn = f"http://public@127.0.0.1:{collector.port}/7"
    sentry = {"dsn": dsn, "environment": "a-test", "tracesSampleRate": 1}
    async with Gateway(one_provider(up, observe={"sentry": sentry})) as gw:
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
    [(path, sent)] = [each for each in collector.requests if "otlp" in each[0]]
    assert path == "/api/7/integration/otlp/v1/traces/"
    assert "sentry_key=public" in sent["x-sentry-auth"]
    assert (len(collector.exchanges), len(collector.attempts)) == (1, 1)
    assert collector.resources[0]["deployment.environment.name"] == "a-test"
    assert not any(name.startswith("langfuse.") for name in attributes(collector.exchanges[0]))


async def ask(gw: Gateway, times: int) -> list[int]:
    client = await gw.client()
    return [(await client.fetch("POST", CHAT, json=CALL)).status for _ in range(times)]


async def test_a_collector_that_is_down_delays_no_request(up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "FLUSH", 0.1)
    async with Gateway(one_provider(up, observe=tracing(NOWHERE))) as gw:
        answered = await asyncio.gather(*(ask(gw, 10) for _ in range(20)))
    assert answered == [[200] * 10] * 20
    assert gw.app._reporting.tracing is not None
    assert gw.app._reporting.tracing.lost == 400
    assert [line for line in gw.log_lines if "400" in line and "Spans were lost" in line]
    assert not [line for line in gw.log_lines if "urllib3" in line or "opentelemetry" in line]


async def test_a_collector_that_never_responds_delays_no_request(
    up: Upstream, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FLUSH", 0.1)
    collector.hold = asyncio.Event()
    async with Gateway(one_provider(up, observe=tracing(collector.url))) as gw:
        answered = await asyncio.gather(*(ask(gw, 10) for _ in range(20)))
    collector.hold.set()
    assert answered == [[200] * 10] * 20
    assert gw.app._reporting.tracing is not None
    assert gw.app._reporting.tracing.lost == 400
