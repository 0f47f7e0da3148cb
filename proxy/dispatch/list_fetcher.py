"""Fetches the model lists of providers in the background, at most one fetch per provider at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from proxy.client.get_models import ModelsRequest
from proxy.config.remote import FetchFailed
from proxy.errors import UpstreamAuthFailed
from proxy.providers.model_list import NotAList
from proxy.providers.provider import Provider, Site
from proxy.routing.lists import ModelLists

WAIT_SECS: Final = 2.0  # how long a request waits for a list
TIMEOUT: Final = 10.0  # seconds; for one address of a provider


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
        self._running: dict[tuple[str, tuple[str, ...]], asyncio.Task[None]] = {}
        self._failed: set[str] = set()  # providers: a warning is logged once until a fetch succeeds again
        lists.request = self.fetch

    def fetch(self, provider: Provider) -> asyncio.Task[None]:
        """Start a fetch, or return the running one."""
        key = provider.name, provider.settings.addresses
        found = self._running.get(key)
        if found is None:
            self._lists.begin(provider)
            found = self._running[key] = asyncio.create_task(self._run(provider), name=f"models of {provider.name}")
            found.add_done_callback(lambda _: self._running.pop(key, None))
        return found

    async def wait(self, providers: Iterable[Provider]) -> None:
        """Fetch the lists of ``providers``, and wait for at most ``wait_secs``. The fetches continue after that."""
        if tasks := [self.fetch(provider) for provider in providers]:
            await asyncio.wait(tasks, timeout=self._wait_secs)

    def close(self) -> None:
        for task in self._running.values():
            task.cancel()

    async def _run(self, provider: Provider) -> None:
        names: list[str] | None = None
        try:
            names = await self._fetched(provider)
            self._failed.discard(provider.name)
        except FetchFailed as failure:
            if provider.name not in self._failed:
                self._failed.add(provider.name)
                self._warn("The models of a provider cannot be listed.", provider=provider.name, why=str(failure))
        finally:
            self._lists.end(provider, self.now(), names)

    async def _fetched(self, provider: Provider) -> list[str]:
        """The names at the first address that answers. Raises FetchFailed."""
        failure = FetchFailed("has no address")
        for site in provider.sites:
            try:
                return await self._names(site)
            except FetchFailed as failed:
                failure = failed
        raise failure

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
