"""A gateway process with two model servers behind ``service://llm``, which join and leave in each way that there is."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.services.acceptance.sources import SOURCES, Server, Source
from tests.support.gateway import GatewayProcess, Process
from tests.support.model_fleet import FleetClient, LlamaServer, take_out
from tests.support.ports import free_port
from tests.support.upstream import Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.2 and 127.0.0.3")
PROVIDERS = {"fleet": {"baseUrl": "service://llm/v1"}}


@pytest.fixture
async def servers() -> AsyncIterator[tuple[LlamaServer, LlamaServer]]:
    first, second = Upstream(host="127.0.0.2"), Upstream(host="127.0.0.3")
    first.port = second.port = free_port()  # DNS tells no ports
    async with first, second:
        yield LlamaServer(first, "qwen"), LlamaServer(second, "llama")


class ConfigSource(Source):
    """An operator changes the addresses in the configuration of a running gateway, whose file is ``path``."""

    def __init__(self, service: str, path: Path) -> None:
        super().__init__(service)
        self._path = path

    async def start(self, servers: Sequence[Server], stack: AsyncExitStack) -> dict[str, Any]:
        self._urls = {each.url for each in servers}
        self._write()
        return {}

    async def leave(self, server: Server) -> None:
        self._urls.discard(server.url)
        self._write()

    async def join(self, server: Server) -> None:
        self._urls.add(server.url)
        self._write()

    def _write(self) -> None:
        data = str(self._path.parent / "data")
        services = {self.service: {"addresses": sorted(self._urls)}}
        self._path.write_text(json.dumps({"dataDir": data, "providers": PROVIDERS, "services": services}))


async def they_come_and_go(gateway: Process, source: Source, servers: tuple[LlamaServer, LlamaServer]) -> None:
    qwen, llama = servers
    fleet = FleetClient(gateway)
    await fleet.lists(qwen, llama)
    async with fleet.streaming(clients=2) as streams:
        for stays, leaves in ((llama, qwen), (qwen, llama)):
            await take_out(fleet, streams, leaves, stays, lambda leaves=leaves: source.leave(leaves))
            await source.join(leaves)
            await fleet.lists(qwen, llama)
    assert streams.models == {"qwen", "llama"}


@pytest.mark.parametrize("source_of", SOURCES, ids=lambda source: source.name)
async def test_servers_join_and_leave_while_clients_stream_through_auto(
    source_of: Callable[[str], Source], tmp_path: Path, servers: tuple[LlamaServer, LlamaServer]
) -> None:
    async with AsyncExitStack() as stack:
        source = source_of("llm")
        settings = await source.start(servers, stack)
        config = {"dataDir": str(tmp_path), "providers": PROVIDERS, **settings}
        gateway = await stack.enter_async_context(GatewayProcess(config))
        await source.begin(gateway)
        await they_come_and_go(gateway, source, servers)


async def test_servers_join_and_leave_by_a_changed_configuration_while_clients_stream(
    tmp_path: Path, servers: tuple[LlamaServer, LlamaServer]
) -> None:
    path = tmp_path / "config.yaml"
    source = ConfigSource("llm", path)
    await source.start(servers, AsyncExitStack())
    async with Process(["serve", "--config", str(path), "--port", "0"]) as gateway:
        await they_come_and_go(gateway, source, servers)
