"""Model servers behind a service, and clients that stream through the gateway while the servers come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.support.answers import chat_events, json_answer
from tests.support.client import Answer, RawClient
from tests.support.gateway import Gateway, Process
from tests.support.patience import until, within
from tests.support.steps import Chunk, Headers, LastChunk, Script, Wait
from tests.support.upstream import Request, Upstream

CHAT = "/v1/chat/completions"
EVENT_STREAM = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
HI = [{"role": "user", "content": "Hi"}]
HOLD = [{"role": "user", "content": "Hold"}]


class LlamaServer:
    """As llama.cpp serves one model. Streams of requests that say ``HOLD`` wait for ``open`` in the middle."""

    def __init__(self, up: Upstream, model: str) -> None:
        self.up = up
        self.model = model
        self.open = asyncio.Event()
        up.on(self._answer)

    @property
    def host(self) -> str:
        return self.up.host

    @property
    def url(self) -> str:
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


class FleetClient:
    """Requests to a gateway with a fleet of ``LlamaServer``."""

    def __init__(self, gateway: Gateway | Process) -> None:
        self.gateway = gateway

    async def lists(self, *servers: LlamaServer) -> None:
        """Wait until the list of models is that of these servers."""
        wanted = sorted(server.model for server in servers)

        async def look() -> None:
            while await self.models() != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        await within(look(), f"the models {wanted}")

    async def models(self) -> list[str]:
        answer = await self.fetch("GET", "/v1/models")
        return sorted(each["id"] for each in answer.json["data"])

    async def fetch(self, method: str, target: str, **request: Any) -> Answer:
        async with RawClient(self.gateway.port) as client:
            return await client.fetch(method, target, **request)

    async def begin(self, model: str) -> RawClient:
        """Start a stream that is held, and read its beginning."""
        client = await self.gateway.client()
        await client.request("POST", CHAT, json={"model": model, "stream": True, "messages": HOLD})
        assert (await client.read_head()).status == 200
        await client.read_event()
        return client

    async def ask(self, model: str = "auto") -> str:
        """The model that answered a whole stream."""
        async with RawClient(self.gateway.port) as client:
            await client.request("POST", CHAT, json={"model": model, "stream": True, "messages": HI})
            head = await client.read_head()
            assert head.status == 200, await client.read_body()
            return _model_of(await client.read_events())

    @asynccontextmanager
    async def streaming(self, clients: int = 4) -> AsyncIterator[Streams]:
        """Clients that stream through ``auto`` again and again. An AssertionError, in a group, if one got no whole stream."""
        streams, over = Streams(clients), asyncio.Event()

        async def stream(answered: list[str]) -> None:
            while not over.is_set():
                answered.append(await self.ask())

        async with asyncio.TaskGroup() as running:
            for answered in streams.answered:
                running.create_task(stream(answered))
            try:
                yield streams
            finally:
                over.set()


class Streams:
    """``answered``: the models of the streams of each client, in order."""

    def __init__(self, clients: int) -> None:
        self.answered: list[list[str]] = [[] for _ in range(clients)]

    @property
    def models(self) -> set[str]:
        return {model for answered in self.answered for model in answered}

    async def more(self, count: int) -> None:
        """Wait until each client had so many more streams."""
        wanted = [len(answered) + count for answered in self.answered]
        await until(lambda: all(len(a) >= most for a, most in zip(self.answered, wanted, strict=True)), "more streams")


async def take_out(
    fleet: FleetClient,
    streams: Streams,
    leaves: LlamaServer,
    stays: LlamaServer,
    leave: Callable[[], Awaitable[None]],
) -> None:
    """Take a server out while a stream is held there: that one ends whole, and no other begins there."""
    leaves.open.clear()
    held = await fleet.begin(leaves.model)
    await leave()
    await fleet.lists(stays)
    await streams.more(2)  # those that had begun before may have gone there
    before = leaves.calls
    await streams.more(2)
    assert await fleet.ask() == stays.model
    assert leaves.calls == before
    leaves.open.set()
    assert _model_of(await held.read_events()) == leaves.model


def _model_of(events: Sequence[bytes]) -> str:
    """The words of a stream name the model. It must be complete."""
    text = b"".join(events)
    assert text.endswith(b"data: [DONE]\n\n"), text
    for model in (b"qwen", b"llama"):
        if b'"content":"%b"' % model in text:
            return model.decode()
    raise AssertionError(text)
