"""What all sources by Consul share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from random import Random
from typing import Final

from proxy.client.tls import context
from proxy.config.service_schema import ConsulSettings, DiscoverySettings, ServiceSettings
from proxy.consul.client import ConsulClient
from proxy.consul.settings import target_of
from proxy.consul.watching import PollSlots
from proxy.services.discovery.base import Discovery
from proxy.services.discovery.consul.source import ConsulAddresses, ConsulClocks

POLLS: Final = 100  # blocking queries at once. An agent takes 200 connections of a client
AT_ONCE: Final = 8  # other queries


class ConsulDiscovery:
    """Its sources share the connections to the agent."""

    def __init__(self, client: ConsulClient, slots: PollSlots, clocks: ConsulClocks, *, stale: bool) -> None:
        self._client = client
        self._slots = slots
        self._clocks = clocks
        self._stale = stale

    def source(self, service: str, settings: ServiceSettings) -> ConsulAddresses:
        assert settings.consul is not None
        return ConsulAddresses(settings.consul, self._client, self._slots, self._clocks, stale=self._stale)

    async def close(self) -> None:
        await self._client.close()


def open_discovery(settings: DiscoverySettings, environ: Mapping[str, str]) -> Discovery:
    client = open_consul(settings.consul, environ, POLLS + AT_ONCE)
    clocks = ConsulClocks(time.time, time.monotonic, asyncio.sleep, Random())
    return ConsulDiscovery(client, PollSlots(POLLS, AT_ONCE), clocks, stale=settings.consul.stale)


def open_consul(settings: ConsulSettings, environ: Mapping[str, str], connections: int = 8) -> ConsulClient:
    """A client that connects when it is first used. ``connections``: at most."""
    return ConsulClient(target_of(settings, environ), lambda: context(settings.tls), connections)
