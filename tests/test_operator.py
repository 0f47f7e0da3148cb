"""The admin routes of a running gateway: real requests and failures over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.auth.apikey import new_key
from proxy.config.source import Source
from tests.support import (
    Answer,
    RawClient,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
)
from tests.support.gateway import ADMIN, Gateway, one_provider

BEARER = ("Authorization", f"Bearer {ADMIN}")
CALL = {"model": "m", "messages": [{"role": "user", "content": "a prompt of a client"}]}
STREAM = CALL | {"stream": True}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


async def ask(gw: Gateway, method: str, path: str, **request: Any) -> Answer:
    client = await gw.client()
    return await client.fetch(method, path, headers=[BEARER], **request)


async def watch(gw: Gateway) -> RawClient:
    client = await gw.client()
    await client.request("GET", "/admin/events", [BEARER])
    assert (await client.read_head()).status == 200
    assert b"event: hello" in await client.read_event()
    return client


async def next_event(client: RawClient, name: str) -> Any:
    """The next event with this name."""
    while True:
        block = (await client.read_event()).decode()
        assert block, "the stream ended"
        if f"event: {name}\r\n" in block:
            return json.loads(block.partition("data: ")[2])


async def test_a_failure_leads_from_the_breaker_to_the_attempt(up: Upstream) -> None:
    up.on(lambda request: json_answer(error_json(), 500))
    async with Gateway(one_provider(up, circuitBreaker={"failureThreshold": 2})) as gw:
        watching = await watch(gw)
        client = await gw.client()
        for _ in range(2):
            assert (await client.fetch("POST", "/v1/chat/completions", json=CALL)).status == 502
        event = await next_event(watching, "state")
        assert (event["id"], event["breaker"]["state"], event["breaker"]["why"]) == ("up/m", "open", "server_error")
        (shown,) = (await ask(gw, "GET", "/admin/state")).json["deployments"]
        assert shown["breaker"] == event["breaker"]
        assert (shown["requests"], shown["errors"], shown["lastError"]["reason"]) == (2, 2, "status 500")
        found = (await ask(gw, "GET", f"/admin/requests/{shown['lastError']['requestId']}")).json
        assert (found["outcome"], found["status"]) == ("error", 502)
        assert [(each["failure"], each["deployment"]) for each in found["trials"]] == [("server_error", "up/m")]
        assert found["id"] in [line["request_id"] for line in gw.exchanges]


async def test_a_reset_deployment_gets_requests_again(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        watching = await watch(gw)
        assert (await ask(gw, "POST", "/admin/state/up%2Fm/open")).status == 200
        assert (await next_event(watching, "state"))["breaker"]["held"] is True
        client = await gw.client()
        assert (await client.fetch("POST", "/v1/chat/completions", json=CALL)).status == 503
        assert (await ask(gw, "POST", "/admin/state/m/reset")).status == 200
        assert (await next_event(watching, "state"))["breaker"]["state"] == "closed"
        assert (await client.fetch("POST", "/v1/chat/completions", json=CALL)).status == 200
        assert len(up.requests) == 1


async def test_the_attempts_of_a_failover_are_in_order(up: Upstream) -> None:
    async with Upstream() as second:
        second.on(lambda request: sse_answer(*chat_events("Hi", " there")))
        up.on(lambda request: json_answer(error_json(), 503))
        source = one_provider(up, routing={"maxRetries": 2, "strategy": "weighted_round_robin"})
        source["providers"]["twin"] = {"baseUrl": second.url}
        source["models"][0]["weight"] = 1000
        source["models"].append({"name": "m", "provider": "twin", "weight": 0.001})
        async with Gateway(source) as gw:
            client = await gw.client()
            answer = await client.fetch(
                "POST", "/v1/chat/completions", headers=[("x-router-decision", "true")], json=STREAM
            )
            assert answer.status == 200
            (summary,) = (await ask(gw, "GET", "/admin/requests")).json["requests"]
            found = (await ask(gw, "GET", f"/admin/requests/{summary['id']}")).json
    first, last = found["trials"]
    assert (first["deployment"], last["deployment"], summary["attempts"]) == ("up/m", "twin/m", 2)
    assert (first["failure"], last["failure"]) == ("server_error", "")
    for attempt in (first, last):
        assert 0 <= attempt["startedMs"] <= attempt["connectedMs"] <= attempt["headersMs"] <= attempt["endedMs"]
    assert last["headersMs"] <= last["firstContentMs"] <= last["endedMs"] <= found["durationMs"]
    assert last["decision"]["chosen"] == "twin/m"
    assert summary["timeToFirstTokenMs"] == found["timeToFirstTokenMs"] == pytest.approx(last["firstContentMs"], abs=5)


async def test_streams_in_progress_are_counted(up: Upstream) -> None:
    hold = asyncio.Event()
    up.on(lambda request: [Wait(hold), *json_answer(completion())])
    async with Gateway(one_provider(up)) as gw:
        watching, client = await watch(gw), await gw.client()
        await client.request("POST", "/v1/chat/completions", json=CALL)
        await up.request()
        assert (await ask(gw, "GET", "/admin/metrics")).json["activeConnections"] == 1
        assert (await ask(gw, "GET", "/admin/state")).json["deployments"][0]["inFlight"] == 1
        # A second may have ended before the request began.
        while (event := await next_event(watching, "counters"))["active"] == 0:
            pass
        assert (event["active"], event["activeConnections"], event["requests"]) == (1, 1, 0)
        hold.set()
        await client.read_answer()
        event = await next_event(watching, "request")
        assert (event["outcome"], event["tokens"]["output"]) == ("ok", 2)


async def test_requests_to_the_control_plane_are_not_counted(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        for path in ("/admin/state", "/health", "/metrics", "/admin/requests"):
            await ask(gw, "GET", path)
        assert (await ask(gw, "GET", "/admin/metrics")).json["totalRequests"] == 0


async def test_try_it_uses_the_gateway_without_limits(up: Upstream) -> None:
    limits = {"enabled": True, "global": {"requestsPerHour": 1}}
    keys = {"mode": "keys", "keys": [{"name": "somebody", "hash": new_key()[1]}]}
    async with Gateway(one_provider(up, rateLimiting=limits, auth=keys, database={"enabled": False})) as gw:
        for _ in range(3):
            answer = await ask(gw, "POST", "/admin/try", json={"path": "chat/completions", "body": CALL})
            assert answer.status == 200
            assert answer.json["_router"]["provider"] == "up"
            assert answer.header("content-security-policy") == "sandbox"
            assert answer.header("x-router-model") == "m"
        sent = await up.request()
        assert json.loads(sent.body) == CALL | {"model": "up-model"}
        assert ADMIN not in str(sent.headers)
        found = (await ask(gw, "GET", "/admin/requests")).json["requests"]
        assert [each["client"] for each in found] == ["admin:try"] * 3


async def test_try_it_streams_token_by_token(up: Upstream) -> None:
    hold = asyncio.Event()
    head, opening, word, *rest = sse_answer(*chat_events("Hi", " there"))
    up.on(lambda request: [head, opening, word, Wait(hold), *rest])
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await client.request("POST", "/admin/try", [BEARER], json={"path": "chat/completions", "body": STREAM})
        head = await client.read_head()
        assert (head.header("content-type"), head.header("content-security-policy")) == (
            "text/event-stream",
            "sandbox",
        )
        assert b"data: " in await client.read_event()
        assert not hold.is_set()
        hold.set()
        assert (await client.read_events())[-1] == b"data: [DONE]\n\n"
        assert (await client.fetch("GET", "/admin/metrics", headers=[BEARER])).json["successfulRequests"] == 1


async def test_try_it_returns_the_errors_of_the_api(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw:
        answer = await ask(gw, "POST", "/admin/try", json={"path": "chat/completions", "body": {"model": "who"}})
        client = await gw.client()
        same = await client.fetch("POST", "/v1/chat/completions", json={"model": "who"})
        assert (answer.status, answer.json) == (same.status, same.json) == (404, same.json)
        assert answer.header("content-security-policy") == "sandbox"
        assert (await ask(gw, "POST", "/admin/try", json={"path": "nothing", "body": {}})).status == 404


async def test_a_disconnect_from_try_it_cancels_the_upstream_request(up: Upstream) -> None:
    head, opening, word, *_ = sse_answer(*chat_events("Hi"))
    up.on(lambda request: [head, opening, word, Stall()])
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        await client.request("POST", "/admin/try", [BEARER], json={"path": "chat/completions", "body": STREAM})
        await client.read_head()
        await client.read_event()
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"
        await until(lambda: not up.open_connections, "the provider's connection to close")


async def test_a_stop_ends_a_running_try_it(up: Upstream) -> None:
    up.on(lambda request: [Stall()])
    async with Gateway(one_provider(up, server={"drainSecs": 0.05})) as gw:
        client = await gw.client()
        await client.request("POST", "/admin/try", [BEARER], json={"path": "chat/completions", "body": CALL})
        await up.request()
        stopping = asyncio.ensure_future(gw.app.stop())
        assert (await client.read_answer()).status == 503
        await stopping


async def test_prompts_are_kept_only_if_configured(up: Upstream) -> None:
    for capture in (False, True):
        async with Gateway(one_provider(up, observe={"capturePrompts": capture})) as gw:
            client = await gw.client()
            await client.fetch("POST", "/v1/chat/completions", json=CALL)
            (summary,) = (await ask(gw, "GET", "/admin/requests")).json["requests"]
            assert "prompt" not in summary
            found = (await ask(gw, "GET", f"/admin/requests/{summary['id']}")).json
            assert (found["prompt"] is not None) is capture
            assert ("a prompt of a client" in json.dumps(found)) is capture


async def test_event_streams_show_the_drain_and_end_cleanly(up: Upstream) -> None:
    hold = asyncio.Event()
    up.on(lambda request: [Wait(hold), *json_answer(completion())])
    async with Gateway(one_provider(up, server={"drainSecs": 5})) as gw:
        watching, client = await watch(gw), await gw.client()
        await client.request("POST", "/v1/chat/completions", json=CALL)
        await up.request()
        stopping = asyncio.ensure_future(gw.app.stop())
        await until(lambda: gw.app.serving is not None and gw.app.serving.stopping, "the stop to begin")
        hold.set()
        assert (await next_event(watching, "request"))["outcome"] == "ok"
        while await watching.read_event():
            pass
        await stopping


async def test_a_lower_log_level_takes_effect_at_once(up: Upstream) -> None:
    async with Gateway(one_provider(up, logging={"level": "error"})) as gw:
        client = await gw.client()
        await client.fetch("POST", "/v1/chat/completions", json=CALL)
        assert gw.exchanges == []
        assert (await ask(gw, "POST", "/admin/log-level", json={"level": "info"})).status == 200
        await client.fetch("POST", "/v1/chat/completions", json=CALL)
        assert len(gw.exchanges) == 1


async def test_a_reload_responds_with_its_outcome(up: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"

    def write(**sections: Any) -> None:
        source = one_provider(up, admin={"token": ADMIN}, **({"server": {"port": 0, "drainSecs": 1}} | sections))
        source["modelsFile"] = "./models.yaml"
        (tmp_path / "models.yaml").write_bytes(msgspec.yaml.encode({"models": source.pop("models")}))
        path.write_bytes(msgspec.yaml.encode(source))

    write()
    source = Source(path, {})
    loaded = await source.load()
    async with Gateway(loaded.config, follows=source) as gw:
        watching = await watch(gw)
        write(server={"port": 1, "drainSecs": 1})
        answer = await ask(gw, "POST", "/admin/reload")
        assert answer.status == 200
        assert (answer.json["loaded"], answer.json["waitsForStart"]) == (True, ["server.port"])
        assert (await next_event(watching, "reload"))["loaded"] is True
        shown = (await ask(gw, "GET", "/admin/config")).json
        assert (shown["path"], shown["waitsForStart"]) == (str(path), ["server.port"])
        path.write_text("providers: [")
        answer = await ask(gw, "POST", "/admin/reload")
        assert (answer.status, answer.json["error"]["code"]) == (409, "invalid_configuration")
        assert str(path) in answer.json["error"]["mistakes"][0]
        assert (await next_event(watching, "reload"))["loaded"] is False
        assert (await ask(gw, "GET", "/admin/config")).json["config"] == shown["config"]
