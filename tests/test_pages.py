"""Health, readiness and metrics of a running gateway."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import Upstream, Wait, completion, json_answer, until
from tests.support.gateway import Gateway, one_provider

CALL = {"model": "m", "messages": []}
PAGES = ["/health", "/ready", "/metrics"]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        yield up


@pytest.fixture
async def gw(up: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(one_provider(up)) as gw:
        yield gw


async def test_health_has_status_and_version(gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch("GET", "/health")
    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert answer.json["version"]
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize("path", ["/v1/health", "/api/v1/health", "/llm/health", "/health/", "/v1/health/"])
async def test_health_is_served_below_the_base_paths_of_the_api(path: str, up: Upstream) -> None:
    for admin in ({}, {"listen": "127.0.0.1:0"}):
        server = {"basePath": "/llm"} if path.startswith("/llm") else {}
        async with Gateway(one_provider(up, server=server, admin=admin)) as gw:
            client = await gw.client()
            answer = await client.fetch("GET", path)
            assert (answer.status, answer.json["status"]) == (200, "ok")
            assert (await client.fetch("POST", path, body=b"")).status == 405


@pytest.mark.parametrize("path", ["/", "/admin", "/admin/"])
async def test_the_dashboard_has_two_paths(path: str, gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch("GET", path)
    assert (answer.status, answer.header("content-type")) == (200, "text/html; charset=utf-8")
    assert b"/admin/assets/main.js" in answer.body


async def test_an_endpoint_with_a_trailing_slash_is_served(up: Upstream, gw: Gateway) -> None:
    client = await gw.client()
    assert (await client.fetch("POST", "/v1/chat/completions/", json=CALL)).status == 200
    assert (await up.request()).target == "/v1/chat/completions"


async def test_ready_is_a_503_during_a_stop_and_health_is_not(up: Upstream) -> None:
    hold = asyncio.Event()
    up.on(lambda request: [Wait(hold), *json_answer(completion())])
    async with Gateway(one_provider(up, server={"drainSecs": 5})) as gw:
        running, asking = await gw.client(), await gw.client()
        assert (await asking.fetch("GET", "/ready")).json == {"status": "ready"}
        await running.request("POST", "/v1/chat/completions", json=CALL)
        await up.request()
        stopping = asyncio.ensure_future(gw.app.stop())
        await until(lambda: gw.app.serving is not None and gw.app.serving.stopping, "the stop to begin")
        answer = await asking.fetch("GET", "/ready")
        assert (answer.status, answer.json) == (503, {"status": "stopping"})
        assert (await asking.fetch("GET", "/health")).status == 200
        hold.set()
        assert (await running.read_answer()).status == 200
        await stopping


async def test_metrics_are_in_the_prometheus_text_format(gw: Gateway) -> None:
    client = await gw.client()
    assert (await client.fetch("POST", "/v1/chat/completions", json=CALL)).status == 200
    assert (await client.fetch("POST", "/v1/chat/completions", json=CALL | {"model": "x"})).status == 404
    answer = await client.fetch("GET", "/metrics")
    assert answer.status == 200
    assert (answer.header("content-type") or "").startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    assert "llm_requests_in_flight 0.0" in lines or "llm_requests_in_flight 0" in lines
    assert any(line.startswith("llm_requests_total{") and line.split()[-1] in ("1", "1.0") for line in lines)
    assert any('"model_not_found"' in line for line in lines)


async def test_openmetrics_is_sent_if_accepted(gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch("GET", "/metrics", headers=[("Accept", "application/openmetrics-text; version=1.0.0")])
    assert (answer.header("content-type") or "").startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("path", PAGES)
async def test_head_has_the_headers_of_get(path: str, gw: Gateway) -> None:
    client = await gw.client()
    whole = await client.fetch("GET", path)
    bare = await client.fetch("HEAD", path)
    assert (bare.status, bare.body) == (whole.status, b"")
    assert bare.header("content-type") == whole.header("content-type")
    assert (await client.fetch("GET", path)).status == 200


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_another_method_is_a_405_with_allow(method: str, path: str, gw: Gateway) -> None:
    client = await gw.client()
    answer = await client.fetch(method, path, body=b"{}")
    allowed = "GET, HEAD" if path == "/metrics" else "GET, HEAD, OPTIONS"  # balancers check health by OPTIONS
    assert (answer.status, answer.header("allow")) == (405, allowed)
    assert answer.json["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/health//", "/healthz", "/Health", "//health", "/v2/health", "/health%2f", "/metrics/x"]
)
async def test_only_the_exact_path_is_served(path: str, gw: Gateway) -> None:
    client = await gw.client()
    assert (await client.fetch("GET", path)).status in (400, 404)


async def test_the_query_is_ignored(gw: Gateway) -> None:
    client = await gw.client()
    for path in PAGES:
        assert (await client.fetch("GET", f"{path}?a=b")).status == 200


async def test_pages_are_not_counted_as_requests(gw: Gateway) -> None:
    client = await gw.client()
    for path in PAGES:
        await client.fetch("GET", path)
        await client.fetch("POST", path)
    assert gw.exchanges == []
    page = await client.fetch("GET", "/metrics")
    assert not [line for line in page.body.splitlines() if line.startswith(b"llm_requests_total{")]


async def test_pages_are_served_while_the_gateway_is_full(up: Upstream) -> None:
    """Monitoring must work under overload."""
    hold = asyncio.Event()
    up.on(lambda request: [Wait(hold), *json_answer(completion())])
    async with Gateway(one_provider(up, server={"maxInFlight": 1})) as gw:
        running, asking = await gw.client(), await gw.client()
        await running.request("POST", "/v1/chat/completions", json=CALL)
        await up.request()
        assert (await asking.fetch("POST", "/v1/chat/completions", json=CALL)).status == 503
        for path in PAGES:
            assert (await asking.fetch("GET", path)).status == 200
        hold.set()
        assert (await running.read_answer()).status == 200


async def test_the_printed_link_logs_in_and_the_log_does_not_contain_the_token(up: Upstream, tmp_path: Path) -> None:
    async with Gateway(one_provider(up, dataDir=str(tmp_path), admin={"token": ""}, logging={"level": "debug"})) as gw:
        token = (tmp_path / "admin-token").read_text().strip()
        client = await gw.client()
        for path in (f"/admin/login?token={token}", f"/admin/login?token={token}x", f"/admin/x?token={token}"):
            await client.fetch("GET", path)
        assert (await client.fetch("GET", f"/admin/login?token={token}")).status == 303
        assert gw.exchanges == []
        assert not re.search(re.escape(token), "\n".join(gw.log_lines))


async def test_other_origins_are_rejected_even_if_the_api_allows_all(up: Upstream, tmp_path: Path) -> None:
    async with Gateway(one_provider(up, dataDir=str(tmp_path), server={"corsOrigins": ["*"]})) as gw:
        client = await gw.client()
        origin = [("Origin", "https://chat.example")]
        assert (await client.fetch("POST", "/v1/chat/completions", headers=origin, json=CALL)).status == 200
        preflight = [*origin, ("Access-Control-Request-Method", "GET")]
        for method, path, headers in (
            ("GET", "/auth/api-keys", origin),
            ("OPTIONS", "/auth/api-keys", preflight),
            ("POST", "/admin/login", origin),
            ("OPTIONS", "/admin/login", preflight),
        ):
            answer = await client.fetch(method, path, headers=headers, body=b"{}")
            assert answer.status in (401, 403), (method, path)
            assert not [name for name, _ in answer.head.headers if name.startswith("access-control-allow")]
