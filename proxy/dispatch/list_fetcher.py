"""Fetches the model lists of providers in the background, at most one fetch per provider at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from proxy.client.get_models import ModelsRequest
from proxy.config.remote import FetchFailed, bounded
from proxy.providers.provider import Provider, Site
from proxy.routing.lists import ModelLists
from proxy.routing.names import LONGEST_UNLISTED

WAIT_SECS: Final = 2.0  # how long a request waits for a list
TIMEOUT: Final = 10.0  # seconds; for one address of a provider
MOST_BYTES: Final = 4 * 1024 * 1024  # OpenRouter's list has 500 KB
MOST_NAMES: Final = 5_000


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
                return names_in(await self._body(site))
            except FetchFailed as failed:
                failure = failed
        raise failure

    async def _body(self, site: Site) -> bytes:
        from aiohttp import ClientError

        key = site.provider.keys.take(self.now())
        if key is None:
            raise FetchFailed("every key is in cooldown")
        try:
            async with self._request.session(TIMEOUT) as session, self._request.send(session, site, key) as response:
                return await bounded(response, MOST_BYTES)
        except TimeoutError:
            raise FetchFailed(f"does not answer within {TIMEOUT:g} s") from None
        except (ClientError, OSError, ValueError) as error:  # its text may contain the address
            raise FetchFailed(f"cannot be reached: {type(error).__name__}") from None


class _Entry(Struct):
    id: str = ""


class _Page(Struct):
    data: list[_Entry]


# Together sends the array itself: https://docs.together.ai/reference/models-1
_decode = msgspec.json.Decoder(_Page | list[_Entry]).decode


def names_in(body: bytes) -> list[str]:
    """The ids in a list of models: at most ``MOST_NAMES``, and only those that a request can name.

    Raises FetchFailed.
    """
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FetchFailed("answers with no list of models") from None
    entries = found.data if isinstance(found, _Page) else found
    return [entry.id for entry in entries if _is_name(entry.id)][:MOST_NAMES]


def _is_name(text: str) -> bool:
    return 0 < len(text) <= LONGEST_UNLISTED and text.isprintable() and text == text.strip()
