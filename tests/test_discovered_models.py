"""Model servers behind ``service://llm`` that join and leave while clients stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from proxy.config.service_schema import ServerAddress, ServiceSettings
from tests.support import Answer, Chunk, Headers, LastChunk, Upstream, Wait, chat_events, json_answer, until, within
from tests.support.client import RawClient
from tests.support.gateway import ADMIN, Gateway
from tests.support.steps import Script
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
EVENT_STREAM = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
OPERATOR = [("Authorization", f"Bearer {ADMIN}")]
HI = [{"role": "user", "content": "Hi"}]
HOLD = [{"role": "user", "content": "Hold"}]
CONFIG: dict[str, Any] = {
    "providers": {"fleet": {"baseUrl": "service://llm/v1"}},
    "services": {"llm": {}},
    "routing": {"maxRetries": 3, "rateLimitRetries": 0},
}


class LlamaServer:
    """As llama.cpp serves one model. Streams of requests that say ``HOLD`` wait for ``open`` in the middle."""

    def __init__(self, up: Upstream, model: str) -> None:
        self.up = up
        self.model = model
        self.open = asyncio.Event()
        up.on(self._answer)

    @property
    def address(self) -> str:
        return self.up.origin

    @property
    def calls(self) -> int:
        return sum(request.method == "POST" for request in self.up)

    def _answer(self, request: Request) -> Script:
        if request.target == "/v1/models":
            return json_answer(
                {"object": "list", "data": [{"id": self.model, "object": "model", "owned_by": "llamacpp"}]}
            )
        if request.target == "/health":
            return json_answer({"status": "ok"})
        assert (request.target, request.json["model"]) == (CHAT, self.model)
        first, second, *rest = map(Chunk, chat_events("from ", self.model, model=self.model))
        pause = [Wait(self.open)] if request.json["messages"] == HOLD else []
        return [Headers(200, EVENT_STREAM), first, second, *pause, *rest, LastChunk()]


class Fleet:
    """The gateway with the servers behind its service."""

    def __init__(self, gw: Gateway) -> None:
        self.gw = gw

    async def has(self, *servers: LlamaServer) -> None:
        """Replace the addresses, and wait until the list of models is that of these servers."""
        self.put(*servers)
        wanted = sorted(server.model for server in servers)

        async def look() -> None:
            while await self.models() != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        await within(look(), f"the models {wanted}")

    def put(self, *servers: LlamaServer) -> None:
        addresses = [ServerAddress(server.address) for server in servers]
        self.gw.app.running.book.put("llm", ServiceSettings(), addresses, asyncio.get_running_loop().time())

    @property
    def addresses(self) -> list[str]:
        """Those that are in force."""
        return [site.base_url for site in self.gw.app.running.catalog.providers["fleet"].sites]

    async def models(self) -> list[str]:
        answer = await self.fetch("GET", "/v1/models")
        return sorted(each["id"] for each in answer.json["data"])

    async def fetch(self, method: str, target: str, **request: Any) -> Answer:
        async with RawClient(self.gw.port) as client:
            return await client.fetch(method, target, **request)

    async def begin(self, model: str) -> RawClient:
        """Start a stream that is held, and read its beginning."""
        client = await self.gw.client()
        await client.request("POST", CHAT, json={"model": model, "stream": True, "messages": HOLD})
        assert (await client.read_head()).status == 200
        await client.read_event()
        return client

    async def ask(self, model: str = "auto") -> str:
        """The model that answered a whole stream."""
        return _model_of(await self._stream(model))

    async def _stream(self, model: str) -> Sequence[bytes]:
        async with RawClient(self.gw.port) as client:
            await client.request("POST", CHAT, json={"model": model, "stream": True, "messages": HI})
            head = await client.read_head()
            assert head.status == 200, await client.read_body()
            return await client.read_events()


def _model_of(events: Sequence[bytes]) -> str:
    """The words of a stream name the model. It must be complete."""
    text = b"".join(events)
    assert text.endswith(b"data: [DONE]\n\n"), text
    for model in (b"qwen", b"llama"):
        if b'"content":"%b"' % model in text:
            return model.decode()
    raise AssertionError(text)


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
        fleet, over = Fleet(gw), asyncio.Event()
        served: list[list[str]] = [[] for _ in range(4)]
        await fleet.has(qwen)

        async def stream_again_and_again(answered: list[str]) -> None:
            while not over.is_set():
                answered.append(await fleet.ask())

        async def each_client_streams(count: int) -> None:
            wanted = [len(answered) + count for answered in served]
            await until(lambda: all(len(a) >= most for a, most in zip(served, wanted, strict=True)), "more streams")

        async with asyncio.TaskGroup() as clients:
            for answered in served:
                clients.create_task(stream_again_and_again(answered))
            for stays, leaves in ((llama, qwen), (qwen, llama), (llama, qwen)):
                await fleet.has(stays, leaves)
                leaves.open.clear()
                held = await fleet.begin(leaves.model)
                await fleet.has(stays)
                await each_client_streams(2)  # those that had begun before may have gone there
                before = leaves.calls
                await each_client_streams(2)
                assert await fleet.ask() == stays.model
                assert leaves.calls == before  # nothing goes there after it left
                leaves.open.set()
                assert b"[DONE]" in b"".join(await held.read_events())  # and what was there ends well
            over.set()
        assert {model for answered in served for model in answered} == {"qwen", "llama"}


async def test_a_server_that_takes_the_place_of_another_is_used_at_once(qwen: LlamaServer, llama: LlamaServer) -> None:
    async with Gateway(CONFIG) as gw:
        fleet = Fleet(gw)
        for server in (qwen, llama, qwen):
            fleet.put(server)
            await until(lambda server=server: fleet.addresses == [f"{server.address}/v1"], "the new address")
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
