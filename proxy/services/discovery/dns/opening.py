"""What all sources by DNS share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from random import Random

from proxy.config.service_schema import DiscoverySettings, ServiceSettings
from proxy.services.discovery.base import Discovery
from proxy.services.discovery.dns.lookup import DnsLookup
from proxy.services.discovery.dns.source import DnsAddresses, DnsClocks


class DnsDiscovery:
    """Its sources share the servers and their answers."""

    def __init__(self, lookup: DnsLookup, clocks: DnsClocks) -> None:
        self._lookup = lookup
        self._clocks = clocks

    def source(self, service: str, settings: ServiceSettings) -> DnsAddresses:
        assert settings.dns is not None
        named = settings.dns.scheme == "https" and settings.tls.verify
        return DnsAddresses(settings.dns, named, self._lookup, self._clocks)

    async def close(self) -> None:
        """Nothing stays open between lookups."""


def open_discovery(settings: DiscoverySettings, environ: Mapping[str, str]) -> Discovery:
    clocks = DnsClocks(time.time, asyncio.sleep, Random())
    return DnsDiscovery(DnsLookup(settings.dns, time.monotonic), clocks)
