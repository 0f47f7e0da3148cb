from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

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
    http = DefaultAsyncHttpxClient(verify=False)  # reading the system's certificates takes longer than a call
    url = f"http://127.0.0.1:{port}/v1"
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0, http_client=http) as client:
        yield client


@pytest.fixture
async def paced() -> AsyncIterator[Demo]:
    """A demo with the rates of its table."""
    server = Demo()
    yield server
    await server.stop()
