"""Sources of addresses that a test controls, and what was handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from proxy.config.service_schema import DiscoverySettings, ServerAddress, ServiceSettings
from proxy.services.discovery.base import Found, SourceState


def addresses(*urls: str) -> list[ServerAddress]:
    return [ServerAddress(url) for url in urls]


class ScriptedSource:
    """``find`` and ``fail`` act as its technology would. ``follows`` counts how often it was followed."""

    def __init__(self) -> None:
        self.state = SourceState(up=False)
        self.follows = 0
        self.ended = False
        self._found: Found | None = None
        self._failure: asyncio.Future[None] | None = None

    async def follow(self, found: Found) -> None:
        self.follows += 1
        self._found = found
        self._failure = asyncio.get_running_loop().create_future()
        try:
            await self._failure
        except asyncio.CancelledError:
            self.ended = True
            raise

    def find(self, *urls: str) -> None:
        assert self._found is not None
        self.state = SourceState(up=True, at=self.state.at + 1)
        self._found(addresses(*urls))

    def fail(self, error: Exception | None) -> None:
        """``None``: it ends without an error."""
        assert self._failure is not None
        if error is None:
            self._failure.set_result(None)
        else:
            self._failure.set_exception(error)


class ScriptedDiscovery:
    """Its sources by service; the last one that was opened for it."""

    def __init__(self, settings: DiscoverySettings) -> None:
        self.settings = settings
        self.sources: dict[str, ScriptedSource] = {}
        self.opened = 0
        self.closed = False

    def source(self, service: str, settings: ServiceSettings) -> ScriptedSource:
        self.opened += 1
        self.sources[service] = made = ScriptedSource()
        return made

    async def close(self) -> None:
        self.closed = True


class Receiver:
    """``calls``: all that were made. ``now``: what is in force, by service and source."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, tuple[str, ...]]] = []

    @property
    def now(self) -> dict[tuple[str, str], tuple[str, ...]]:
        return {(service, source): urls for service, source, urls in self.calls}

    def found(self, service: str, source: str, addresses: Sequence[ServerAddress]) -> None:
        self.calls.append((service, source, tuple(each.url for each in addresses)))
