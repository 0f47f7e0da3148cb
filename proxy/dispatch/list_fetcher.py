"""Fetches the model lists of providers in the background, at most one fetch per address at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from proxy.caches import LruCache
from proxy.client.get_models import ModelsRequest
from proxy.config.remote import FetchFailed
from proxy.errors import UpstreamAuthFailed
from proxy.providers.model_list import NotAList
from proxy.providers.provider import Site
from proxy.routing.lists import ModelLists

WAIT_SECS: Final = 2.0  # how long a request waits for a list
TIMEOUT: Final = 10.0  # seconds; for one address of a provider
MOST_AT_ONCE: Final = 32
MOST_FAILED: Final = 1000  # addresses whose failure is remembered


class Warn(Protocol):
    """The log's warnings."""

    def __call__(self, event: str, /, **fields: object) -> None: ...


class ListFetcher:
    """Fetches model lists into ``lists``. ``now`` is the clock of the lists."""

    def __init__(
        self,
        lists: ModelLists,
        request: ModelsRequest,
        now: Callable[[], float],
        warn: Warn,
        wait_secs: float = WAIT_SECS,
    ) -> None:
        self._lists = lists
        self._request = request
        self.now = now
        self._warn = warn
        self._wait_secs = wait_secs
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._free = asyncio.Semaphore(MOST_AT_ONCE)
        # Addresses: a warning is logged once until a fetch succeeds again.
        self._failed: LruCache[tuple[str, str], bool] = LruCache(MOST_FAILED)
        lists.request = self.fetch

    def fetch(self, site: Site) -> asyncio.Task[None]:
        """Start a fetch, or return the running one."""
        key = site.provider.name, site.base_url
        found = self._running.get(key)
        if found is None:
            self._lists.begin(site)
            found = self._running[key] = asyncio.create_task(self._run(site), name=f"models of {site.provider.name}")
            found.add_done_callback(lambda _: self._running.pop(key, None))
        return found

    async def wait(self, sites: Iterable[Site]) -> None:
        """Fetch the lists of ``sites``, and wait for at most ``wait_secs``. The fetches continue after that."""
        if tasks := [self.fetch(site) for site in sites]:
            await asyncio.wait(tasks, timeout=self._wait_secs)

    def close(self) -> None:
        for task in self._running.values():
            task.cancel()

    async def _run(self, site: Site) -> None:
        names: list[str] | None = None
        key = site.provider.name, site.base_url
        try:
            async with self._free:
                names = await self._names(site)
            self._failed.put(key, False)
        except FetchFailed as failure:
            if not self._failed.get(key):
                self._failed.put(key, True)
                self._warn("The models of a provider cannot be listed.", provider=site.provider.name, why=str(failure))
        finally:
            self._lists.end(site, self.now(), names)

    async def _names(self, site: Site) -> list[str]:
        from aiohttp import ClientError

        key = site.provider.keys.take(self.now())
        if key is None:
            raise FetchFailed("every key is in cooldown")
        try:
            async with asyncio.timeout(TIMEOUT), self._request.session(TIMEOUT) as session:
                return await self._request.names(session, site, key)
        except NotAList as error:
            raise FetchFailed(str(error)) from None
        except UpstreamAuthFailed as error:
            raise FetchFailed(error.detail) from None
        except TimeoutError:
            raise FetchFailed(f"does not answer within {TIMEOUT:g} s") from None
        except (ClientError, OSError, ValueError) as error:  # its text may contain the address
            raise FetchFailed(f"cannot be reached: {type(error).__name__}") from None
