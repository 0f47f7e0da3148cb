"""Looks at the models of the addresses of services: at once when an address joins, then again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from math import inf
from typing import Final

from proxy.dispatch.list_fetcher import ListFetcher
from proxy.providers.provider import Site
from proxy.routing.catalog import Catalog
from proxy.routing.lists import ModelLists

RETRY_SECS: Final = 2.0  # after a failure: a server that starts has no list yet
FETCHING_SECS: Final = 1.0  # between looks at a fetch that runs


class ListFollower:
    """Fetches the lists of all addresses of services at providers that accept any model."""

    def __init__(self, lists: ModelLists, fetcher: ListFetcher, catalog: Catalog) -> None:
        self._lists = lists
        self._fetcher = fetcher
        self._catalog = catalog
        self._woken = asyncio.Event()

    def adopt(self, catalog: Catalog) -> None:
        """Follow the addresses of this catalog. Those that joined are asked at once."""
        self._catalog = catalog
        self._woken.set()

    async def run(self) -> None:
        """Until it is canceled."""
        while True:
            self._woken.clear()
            pause = self.look()
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                pass

    def look(self) -> float | None:
        """Start the fetches that are due. Seconds until the next one; ``None``: there is nothing to look at."""
        now, every = self._fetcher.now(), self._catalog.config.discovery.models_secs
        pauses = []
        for site in self._followed():
            due = self._lists.due_at(site, every, min(every, RETRY_SECS)) - now
            if due <= 0:
                self._fetcher.fetch(site)
            pauses.append(due if 0 < due < inf else FETCHING_SECS)
        return min(pauses, default=None)

    def _followed(self) -> Iterator[Site]:
        for provider in self._catalog.providers.values():
            if provider.any_model and provider.settings.services:
                yield from (site for site in provider.sites if site.address.present)
