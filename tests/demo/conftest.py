from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from proxy.demo.server import Demo
from tests.support import RawClient


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    server = Demo(rate=0)
    yield server
    await server.stop()


@pytest.fixture
async def port(demo: Demo) -> int:
    return await demo.start()


@pytest.fixture
async def raw(port: int) -> AsyncIterator[RawClient]:
    async with RawClient(port) as client:
        yield client


@pytest.fixture
async def sdk(port: int) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
async def paced() -> AsyncIterator[Demo]:
    """A demo with the rates of its table."""
    server = Demo()
    yield server
    await server.stop()
