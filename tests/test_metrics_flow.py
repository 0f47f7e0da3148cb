"""Metrics of a run counted by hand: each event is counted exactly once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from proxy.config.provider_schema import ModelSettings
from proxy.observe.exposition import SLICE
from proxy.observe.gauges import PORTION, BreakerSample
from tests.support import (
    Chunk,
    Close,
    Headers,
    RawClient,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway, one_provider, to_config

MODELS = [
    {"name": "m", "provider": "up", "model": "up-m"},
    {"name": "sick", "provider": "up", "model": "up-sick"},
    {"name": "spare", "provider": "other", "model": "up-spare"},
]
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 30},
    "completion_tokens_details": {"reasoning_tokens": 5},
}

Found = dict[tuple[str, ...], float]


def config(up: Upstream, other: Upstream) -> dict[str, Any]:
    return {
        "routing": {"maxRetries": 0, "rateLimitRetries": 0, "fallback": {"provider": "other", "model": "spare"}},
        "circuitBreaker": {"failureThreshold": 1},
        "rateLimiting": {"enabled": True, "global": {"requestsPerHour": 9}},
        "providers": {
            "up": {"baseUrl": up.url, "apiKey": "key"},
            "other": {"baseUrl": other.url, "apiKey": "key"},
        },
        "models": MODELS,
    }


async def scraped(gw: Gateway) -> Found:
    """Every sample by its name and its labels' values, without those that depend on the machine.

    Of histograms only the counts, since nothing here has a time.
    """
    client = await gw.client()
    text = (await client.fetch("GET", "/metrics")).body.decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_sum", "_created"))
        and not sample.name.startswith(("process_", "sluice_", "gateway_build", "gateway_event_loop"))
        and not sample.name.startswith(("gateway_cpu_limit", "gateway_memory_limit"))
    }


async def ask(client: RawClient, model: str, *, stream: bool) -> int:
    answer = await client.fetch("POST", "/v1/chat/completions", json={"model": model, "messages": [], "stream": stream})
    return answer.status


async def test_metrics_match_a_run_counted_by_hand() -> None:
    async with Upstream() as up, Upstream() as other, Gateway(config(up, other)) as gw:
        client = await gw.client()

        # 1 and 2: streams that come to their end; of the second the provider tells no usage.
        up.queue(sse_answer(*chat_events("a", "b", "c", usage=USAGE)), sse_answer(*chat_events("a", "b")))
        assert [await ask(client, "m", stream=True) for _ in range(2)] == [200, 200]
        # 3: a plain answer, with 9 tokens in and 2 out.
        up.queue(json_answer(completion()))
        assert await ask(client, "m", stream=False) == 200
        # 4: the provider fails, the fallback answers; 5: the breaker is open, the fallback is used at once.
        up.queue(json_answer(error_json(), 500))
        other.on(lambda request: json_answer(completion()))
        assert [await ask(client, "sick", stream=False) for _ in range(2)] == [200, 200]
        # 6: a client that leaves within a stream.
        hold = asyncio.Event()
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("a", finish=None, done=False)), Wait(hold)])
        leaving = await gw.client()
        await leaving.request("POST", "/v1/chat/completions", json={"model": "m", "messages": [], "stream": True})
        await leaving.read_head()
        running = await scraped(gw)
        leaving.close()
        await gw.settled(6)
        hold.set()
        # 7: a stream that breaks after its first content, which opens the breaker.
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("a", finish=None, done=False)), Close()])
        assert await ask(client, "m", stream=True) == 200
        await gw.settled(7)
        # 8 and 9: rejected before any attempt. 10: over the limit.
        assert await ask(client, "nobody", stream=False) == 404
        assert (await client.fetch("POST", "/v1/chat/completions", body=b"{")).status == 400
        assert await ask(client, "m", stream=False) == 429
        # No calls to a model: they are counted apart.
        for method, path, status in (
            ("GET", "/v1/models", 200),
            ("GET", "/v1/unknown", 404),
            ("GET", "/v1/chat/completions", 405),
            ("GET", "/health", 200),
        ):
            assert (await client.fetch(method, path)).status == status
        # Not an exchange: bytes that are no HTTP, but the beginning of a TLS handshake.
        stranger = await gw.client()
        await stranger.send(b"\x16\x03\x01\x00\r\n\r\n")
        await stranger.read_head()

        await until(lambda: gw.app.metrics.in_flight == 0, "the end of all")
        found = await scraped(gw)

    assert running["llm_requests_in_flight",] == 1
    m, spare, unknown = ("up", "up-m"), ("other", "up-spare"), ("none", "none")
    connections = {key: found.pop(key) for key in list(found) if key[0].startswith("llm_upstream_conn")}
    assert found == {
        ("llm_requests_total", *m, "ok"): 3,
        ("llm_requests_total", *m, "broken"): 1,
        ("llm_requests_total", *m, "client_gone"): 1,
        ("llm_requests_total", *spare, "ok"): 2,
        ("llm_requests_total", *unknown, "error"): 3,
        ("llm_requests_errors_total", "upstream_disconnected"): 1,
        ("llm_requests_errors_total", "model_not_found"): 1,
        ("llm_requests_errors_total", "invalid_json"): 1,
        ("llm_requests_errors_total", "rate_limit_exceeded"): 1,
        ("llm_requests_rejected_total", "tls_on_plain_port"): 1,
        ("gateway_other_requests_total", "models", "ok"): 1,
        ("gateway_other_requests_total", "refused", "error"): 2,
        ("gateway_other_requests_total", "page", "ok"): 2,  # one of them the scrape before
        ("llm_requests_in_flight",): 0,
        ("llm_requests_duration_seconds_count", *m): 5,
        ("llm_requests_duration_seconds_count", *spare): 2,
        ("llm_requests_duration_seconds_count", *unknown): 3,
        ("llm_time_to_first_token_seconds_count", *m): 4,
        ("llm_inter_token_seconds_count", *m): 2,
        ("llm_stream_longest_gap_seconds_count", *m): 4,
        ("llm_tokens_total", *m, "input"): 70 + 9,
        ("llm_tokens_total", *m, "cached"): 30,
        ("llm_tokens_total", *m, "output"): 15 + 2,
        ("llm_tokens_total", *m, "reasoning"): 5,
        ("llm_tokens_total", *spare, "input"): 9 * 2,
        ("llm_tokens_total", *spare, "output"): 2 * 2,
        ("llm_unknown_cost_attempts_total", *m, "price"): 5,
        ("llm_unknown_cost_attempts_total", *spare, "price"): 2,
        ("llm_upstream_attempts_total", "up", "ok"): 3,
        ("llm_upstream_attempts_total", "up", "server_error"): 1,
        ("llm_upstream_attempts_total", "up", "broken_answer"): 1,
        ("llm_upstream_attempts_total", "up", "client_gone"): 1,
        ("llm_upstream_attempts_total", "other", "ok"): 2,
        ("llm_fallbacks_total",): 2,
        ("llm_client_disconnects_total",): 1,
        ("llm_streams_truncated_total", *m): 1,
        ("llm_events_dropped_total",): 0,
        ("llm_forgotten_attempts_total",): 0,
        ("llm_forgotten_events_total",): 0,
        ("llm_possible_double_executions_total",): 0,
        ("rate_limit_requests_total", "all", "admitted"): 9,
        ("rate_limit_requests_total", "global", "refused"): 1,
        **{
            ("rate_limit_requests_total", each, "refused"): 0
            for each in ("client", "address", "route", "model", "provider")
        },
        ("gateway_overhead_seconds_count",): 7,
        ("gateway_component_up", "providers"): 1,
        ("gateway_component_up", "models"): 0,
        **breaker("up/m", *m, "open"),
        **breaker("up/sick", "up", "up-sick", "open"),
        **breaker("other/spare", *spare, "closed"),
    }
    assert connections["llm_upstream_connections_opened_total",] == len(up.connections) + len(other.connections)
    reused = len(up.requests) + len(other.requests) - len(up.connections) - len(other.connections)
    assert connections["llm_upstream_connections_reused_total",] == reused


async def test_a_call_rejected_before_routing_is_a_failed_call() -> None:
    auth = {"mode": "keys", "keys": [{"name": "a", "hash": "sha256:" + "0" * 64}]}
    async with Upstream() as up, Gateway(one_provider(up, auth=auth, database={"enabled": False})) as gw:
        client = await gw.client()
        assert await ask(client, "m", stream=False) == 401
        assert (await client.fetch("GET", "/v1/models")).status == 401
        await gw.settled(2)
        found = await scraped(gw)
    assert found["llm_requests_total", "none", "none", "error"] == 1
    assert found["llm_requests_errors_total", "invalid_api_key"] == 1
    assert found["gateway_other_requests_total", "models", "error"] == 1


def breaker(deployment: str, provider: str, model: str, state: str) -> Found:
    """Its four samples."""
    return {
        ("circuit_breaker_state", deployment, provider, model, each): float(each == state)
        for each in ("closed", "open", "half_open", "unavailable")
    }


async def test_a_scrape_of_ten_thousand_deployments_yields_to_the_event_loop() -> None:
    loop = asyncio.get_running_loop()
    turns = 0
    looked: list[int] = []  # the turn in which each breaker was looked at

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    async with Upstream() as up:
        models = [ModelSettings(name=f"m{number}", provider="up") for number in range(10_000)]
        async with Gateway(replace(to_config(one_provider(up)), models=models)) as gw:
            client = await gw.client()
            breakers = gw.app.metrics.breakers

            def noted() -> Iterator[BreakerSample]:
                for each in breakers():
                    looked.append(turns)
                    yield each

            gw.app.metrics.breakers = noted
            loop.call_soon(turn)
            answer = await client.fetch("GET", "/metrics")
    lines = [line for line in answer.body.splitlines() if line.startswith(b"circuit_breaker_state{")]
    assert len(lines) == (500 + 1) * 4
    assert sum(float(line.split()[-1]) for line in lines) == 10_000
    assert max(Counter(looked).values()) == PORTION
    assert turns >= 10_000 / PORTION + len(lines) / SLICE
