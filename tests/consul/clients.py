"""Clients of the fake agent."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.consul.client import ConsulClient
from proxy.consul.settings import ConsulTarget
from tests.support.consul import FakeConsul


@asynccontextmanager
async def client_of(agent: FakeConsul, token: str = "", datacenter: str = "") -> AsyncIterator[ConsulClient]:
    client = ConsulClient(ConsulTarget(agent.url, token, datacenter), ssl.create_default_context)
    try:
        yield client
    finally:
        await client.close()
