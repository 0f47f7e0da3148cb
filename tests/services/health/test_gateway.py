"""Health checks of a whole gateway: what they change for requests, /health, and what needs attention."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway import ADMIN, Gateway
from tests.support.patience import PATIENCE, within
from tests.support.service_gateway import plain, to_services
from tests.support.upstream import Upstream

BEARER = ("Authorization", f"Bearer {ADMIN}")
HEALTH = {"path": "/health", "intervalSecs": 1, "timeoutSecs": PATIENCE, "healthy": 1, "unhealthy": 1}


@pytest.fixture
async def backend() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: plain(b"ok"))
        yield up


def checked(*ups: Upstream) -> dict[str, Any]:
    return to_services(*ups, service={"health": HEALTH}, demo="auto")


async def shown(gw: Gateway, path: str) -> Any:
    return (await (await gw.client()).fetch("GET", path, headers=[BEARER])).json


async def health(gw: Gateway, status: str) -> Any:
    """``/health``, once the component ``services`` has this status."""
    while (found := await shown(gw, "/health"))["dependencies"]["services"] != status:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return found


async def troubles(gw: Gateway) -> list[Any]:
    found = (await shown(gw, "/admin/attention"))["troubles"]
    return [each for each in found if each["kind"] == "service"]


async def test_a_failed_check_is_shown_until_the_address_passes_again(backend: Upstream) -> None:
    async with Gateway(checked(backend)) as gw:
        assert (await within(health(gw, "up"), "the health of services"))["status"] == "ok"
        assert await troubles(gw) == []
        backend.on(lambda request: plain(b"", status=500))
        found = await within(health(gw, "down"), "the failed check")
        assert found["status"] == "degraded"
        assert found["components"]["services"]["why"] == "1 of 1 service has no usable address; see the page Services"
        [trouble] = await troubles(gw)
        assert (trouble["severity"], trouble["service"]) == ("error", "s")
        assert "1 of 1 address fails its health checks (status 500)" in trouble["why"]
        backend.on(lambda request: plain(b"ok"))
        assert (await within(health(gw, "up"), "the check that passes again"))["status"] == "ok"
        assert await troubles(gw) == []


async def test_requests_go_to_the_address_that_passes_its_checks(backend: Upstream) -> None:
    async with Upstream() as sick, Gateway(checked(backend, sick)) as gw:
        sick.on(lambda request: plain(b"sick", status=500 if request.target == "/health" else 200))

        async def fails() -> None:
            while not await troubles(gw):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

        await within(fails(), "the failed check")
        [trouble] = await troubles(gw)
        assert (trouble["severity"], trouble["count"]) == ("warning", 1)
        client = await gw.client()
        assert {(await client.fetch("GET", "/s")).body for _ in range(4)} == {b"ok"}
        assert (await within(health(gw, "up"), "the health of services"))["status"] == "ok"


async def test_without_services_health_says_nothing_of_them() -> None:
    async with Gateway({"demo": "auto", "database": {"enabled": False}}) as gw:
        assert "services" not in (await shown(gw, "/health"))["dependencies"]
