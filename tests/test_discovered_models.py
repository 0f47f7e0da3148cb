"""Model servers behind ``service://llm`` that join and leave while clients stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.config.service_schema import ServerAddress, ServiceSettings
from tests.support import Upstream, until
from tests.support.gateway import ADMIN, Gateway
from tests.support.model_fleet import CHAT, HI, FleetClient, LlamaServer, take_out

OPERATOR = [("Authorization", f"Bearer {ADMIN}")]
CONFIG: dict[str, Any] = {
    "providers": {"fleet": {"baseUrl": "service://llm/v1"}},
    "services": {"llm": {}},
    "routing": {"maxRetries": 3, "rateLimitRetries": 0},
}


class Fleet(FleetClient):
    """The gateway in this process, whose addresses the test sets."""

    gateway: Gateway

    async def has(self, *servers: LlamaServer) -> None:
        """Replace the addresses, and wait until the list of models is that of these servers."""
        self.put(*servers)
        await self.lists(*servers)

    def put(self, *servers: LlamaServer) -> None:
        addresses = [ServerAddress(server.url) for server in servers]
        self.gateway.app.running.book.put("llm", ServiceSettings(), addresses, asyncio.get_running_loop().time())

    @property
    def addresses(self) -> list[str]:
        """Those that are in force."""
        return [site.base_url for site in self.gateway.app.running.catalog.providers["fleet"].sites]


@pytest.fixture
async def qwen() -> AsyncIterator[LlamaServer]:
    async with Upstream() as up:
        yield LlamaServer(up, "qwen")


@pytest.fixture
async def llama() -> AsyncIterator[LlamaServer]:
    async with Upstream() as up:
        yield LlamaServer(up, "llama")


async def test_servers_join_and_leave_while_clients_stream_through_auto(qwen: LlamaServer, llama: LlamaServer) -> None:
    async with Gateway(CONFIG) as gw:
        fleet = Fleet(gw)
        await fleet.has(qwen)
        async with fleet.streaming() as streams:
            for stays, leaves in ((llama, qwen), (qwen, llama), (llama, qwen)):
                await fleet.has(stays, leaves)
                await take_out(fleet, streams, leaves, stays, lambda stays=stays: fleet.has(stays))
        assert streams.models == {"qwen", "llama"}


async def test_a_server_that_takes_the_place_of_another_is_used_at_once(qwen: LlamaServer, llama: LlamaServer) -> None:
    async with Gateway(CONFIG) as gw:
        fleet = Fleet(gw)
        for server in (qwen, llama, qwen):
            fleet.put(server)
            await until(lambda server=server: fleet.addresses == [f"{server.url}/v1"], "the new address")
            assert await fleet.ask() == server.model  # its list was waited for
            assert await fleet.ask(f"fleet/{server.model}") == server.model


async def test_without_an_address_requests_get_503_and_a_model_that_left_404(
    qwen: LlamaServer, llama: LlamaServer
) -> None:
    async with Gateway(CONFIG) as gw:
        fleet = Fleet(gw)
        for model in ("auto", "qwen"):
            answer = await fleet.fetch("POST", CHAT, json={"model": model, "messages": HI})
            assert (answer.status, answer.json["error"]["code"]) == (503, "no_address")
            assert "its service has no address now" in answer.json["error"]["message"]
            assert answer.header("retry-after") == "1"
        health = await fleet.fetch("GET", "/health")
        assert (health.status, health.json["components"]["providers"]["status"]) == (503, "down")
        await fleet.has(qwen, llama)
        await fleet.has(llama)
        answer = await fleet.fetch("POST", CHAT, json={"model": "qwen", "messages": HI})
        assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
        await fleet.has()
        answer = await fleet.fetch("POST", CHAT, json={"model": "llama", "messages": HI})
        assert (answer.status, answer.json["error"]["code"]) == (503, "no_address")


async def test_the_page_of_models_has_each_address_by_its_number(qwen: LlamaServer, llama: LlamaServer) -> None:
    async with Gateway(CONFIG) as gw:
        fleet = Fleet(gw)
        await fleet.has(qwen, llama)

        async def shown() -> dict[str, str]:
            answer = await fleet.fetch("GET", "/admin/state", headers=OPERATOR)
            return {each["id"]: each["breaker"]["state"] for each in answer.json["deployments"]}

        assert await shown() == {"fleet/qwen#1": "closed", "fleet/llama#2": "closed"}
        opened = await fleet.fetch("POST", "/admin/state/fleet/llama%232/open", headers=OPERATOR)
        assert opened.status == 200
        await fleet.has(llama)
        assert await shown() == {"fleet/llama#2": "open"}
        answer = await fleet.fetch("POST", CHAT, json={"model": "llama", "messages": HI})
        assert answer.status == 503
        await fleet.has(qwen, llama)
        assert await fleet.ask() == "qwen"


async def test_connections_to_an_address_that_left_are_closed(qwen: LlamaServer, llama: LlamaServer) -> None:
    async with Gateway(CONFIG) as gw:
        fleet = Fleet(gw)
        await fleet.has(qwen, llama)
        held = await fleet.begin("qwen")
        assert await fleet.ask("llama") == "llama"
        assert llama.up.open_connections
        await fleet.has()
        await until(lambda: not llama.up.open_connections, "the idle connection to close")
        qwen.open.set()
        await held.read_events()
        await until(lambda: not qwen.up.open_connections, "the busy connection to close with its answer")
