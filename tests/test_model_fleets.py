"""A gateway process with two model servers behind ``service://llm``, which join and leave in each way that there is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.services.acceptance.sources import SOURCES, Source
from tests.support.gateway import GatewayProcess
from tests.support.model_fleet import FleetClient, LlamaServer, take_out
from tests.support.ports import free_port
from tests.support.upstream import Upstream


async def llama_server(stack: AsyncExitStack, model: str, host: str, port: int) -> LlamaServer:
    up = Upstream(host=host)
    up.port = port
    return LlamaServer(await stack.enter_async_context(up), model)


@pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.2 and 127.0.0.3")
@pytest.mark.parametrize("source_of", SOURCES, ids=lambda source: source.name)
async def test_servers_join_and_leave_while_clients_stream_through_auto(
    source_of: Callable[[str], Source], tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        port = free_port()
        qwen = await llama_server(stack, "qwen", "127.0.0.2", port)
        llama = await llama_server(stack, "llama", "127.0.0.3", port)
        source = source_of("llm")
        settings = await source.start([qwen, llama], stack)
        config = {"dataDir": str(tmp_path), "providers": {"fleet": {"baseUrl": "service://llm/v1"}}, **settings}
        gateway = await stack.enter_async_context(GatewayProcess(config))
        await source.begin(gateway)
        fleet = FleetClient(gateway)
        await fleet.lists(qwen, llama)
        async with fleet.streaming(clients=2) as streams:
            for stays, leaves in ((llama, qwen), (qwen, llama)):
                await take_out(fleet, streams, leaves, stays, lambda leaves=leaves: source.leave(leaves))
                await source.join(leaves)
                await fleet.lists(qwen, llama)
        assert streams.models == {"qwen", "llama"}
