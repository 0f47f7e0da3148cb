"""Model lists fetched from providers that accept any model name, one for each of their addresses.

They are live state and survive a reload. A list shows that a provider has a name, never that it lacks one.
``dispatch/list_fetcher.py`` fetches them. ``now`` is seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf
from typing import Final

from proxy.providers.provider import Provider, Site

KEPT: Final = 300.0  # seconds; an older list is fetched again
RETRY: Final = 10.0  # seconds between fetches, successful or not
FORGOTTEN: Final = 600.0  # seconds; an address that does not give its list for so long has none
NEVER: Final = -inf

_Key = tuple[str, str]  # provider and address


class FetchedModels:
    """One address's list. ``names``: from the last successful fetch, in the provider's order."""

    __slots__ = ("fetched_at", "fetching", "names", "tried_at")

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.fetched_at = NEVER
        self.tried_at = NEVER  # end of the last fetch, successful or not
        self.fetching = False

    @property
    def known(self) -> bool:
        """Whether it was fetched, and is not forgotten."""
        return self.fetched_at != NEVER

    def __repr__(self) -> str:
        return f"<ModelList of {len(self.names)}{', fetching' if self.fetching else ''}>"


class ModelLists:
    """The lists of all addresses. ``request`` starts a fetch and does not wait; ``changed`` is called after a change.

    ``version`` grows with each change.
    """

    def __init__(self) -> None:
        self._lists: dict[_Key, FetchedModels] = {}
        self.request: Callable[[Site], object] = _nothing
        self.changed: Callable[[], None] = _nothing
        self.version = 0

    def names(self, provider: Provider) -> Collection[str]:
        """Those at any of the provider's addresses."""
        sites = provider.sites
        if len(sites) == 1:
            return self.names_at(sites[0])
        return dict.fromkeys(name for site in sites for name in self.names_at(site))

    def names_at(self, site: Site) -> Collection[str]:
        found = self._lists.get(_key(site))
        return found.names.keys() if found is not None else ()

    def has(self, provider: Provider, name: str) -> bool:
        return any(name in self.names_at(site) for site in provider.sites)

    def had(self, provider: Provider, name: str) -> bool:
        """Whether any address of the provider listed the name, also one that left a short time ago."""
        return any(key[0] == provider.name and name in found.names for key, found in self._lists.items())

    def is_known(self, site: Site) -> bool:
        """Whether the address has given its list."""
        found = self._lists.get(_key(site))
        return found is not None and found.known

    def due_at(self, site: Site, every: float, retry: float) -> float:
        """When to fetch the list again: ``retry`` seconds after a failure. It may be in the past, or infinite."""
        found = self._lists.get(_key(site))
        if found is None:
            return NEVER
        if found.fetching:
            return inf
        return found.tried_at + (every if found.fetched_at == found.tried_at else retry)

    def use(self, provider: Provider, now: float) -> None:
        """Fetch the provider's lists in the background if they are old. Called when a request uses the provider."""
        for site in _present(provider):
            found = self._list(site)
            if not found.fetching and now - found.tried_at >= KEPT:
                self.request(site)

    def stale(self, providers: Iterable[Provider], now: float) -> list[Site]:
        """Addresses of providers without a fresh list: fetch theirs before GET models is answered."""
        found = []
        for provider in providers:
            sites = _present(provider)
            if not any(now - self._list(site).fetched_at < KEPT for site in sites):
                found += [site for site in sites if self._awaited(site, now, KEPT)]
        return found

    def unsure(self, providers: Iterable[Provider], now: float) -> list[Site]:
        """Addresses whose list may be out of date: fetch it before a name is reported as unknown."""
        return [site for each in providers for site in _present(each) if self._awaited(site, now, RETRY)]

    def keep(self, providers: Iterable[Provider], now: float) -> None:
        """Drop the lists of all other providers, and of addresses that left long ago."""
        providers = list(providers)
        kept = {_key(site) for provider in providers for site in provider.sites}
        names = {provider.name for provider in providers if provider.settings.services}
        self._lists = {
            key: found
            for key, found in self._lists.items()
            if key in kept or found.fetching or (key[0] in names and now - found.fetched_at < FORGOTTEN)
        }
        self.version += 1

    # -- fetching ---------------------------------------------------------------------------------

    def begin(self, site: Site) -> None:
        """Record the start of a fetch."""
        self._list(site).fetching = True

    def end(self, site: Site, now: float, names: Iterable[str] | None) -> None:
        """Record the end of a fetch; ``None``: it failed, and the previous names stay for ``FORGOTTEN`` seconds."""
        found = self._list(site)
        found.fetching = False
        found.tried_at = now
        was_known = found.known
        before, found.names = found.names, found.names if names is None else dict.fromkeys(names)
        if names is not None:
            found.fetched_at = now
        elif now - found.fetched_at >= FORGOTTEN:
            found.names, found.fetched_at = {}, NEVER
        if list(before) != list(found.names) or was_known != found.known:
            self.version += 1
            self.changed()

    def _awaited(self, site: Site, now: float, age: float) -> bool:
        found = self._list(site)
        return found.fetching or (now - found.fetched_at >= age and now - found.tried_at >= RETRY)

    def _list(self, site: Site) -> FetchedModels:
        key = _key(site)
        found = self._lists.get(key)
        if found is None:
            found = self._lists[key] = FetchedModels()
        return found


class ListsPending(Exception):
    """The plan needs model lists: fetch those of ``sites``, then plan again."""

    def __init__(self, sites: Iterable[Site]) -> None:
        super().__init__()
        self.sites = tuple(sites)


def _present(provider: Provider) -> Sequence[Site]:
    return [site for site in provider.sites if site.address.present]


def _key(site: Site) -> _Key:
    return site.provider.name, site.base_url


def _nothing(*_: object) -> None:
    return None
