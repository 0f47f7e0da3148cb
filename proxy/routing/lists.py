"""Model lists fetched from providers that accept any model name.

They are live state and survive a reload. A list shows that a provider has a name, never that it lacks one.
``dispatch/list_fetcher.py`` fetches them. ``now`` is seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from proxy.providers.provider import Provider

KEPT: Final = 300.0  # seconds; an older list is fetched again
RETRY: Final = 10.0  # seconds between fetches, successful or not
NEVER: Final = float("-inf")

_Key = tuple[str, tuple[str, ...]]


class FetchedModels:
    """One provider's list. ``names``: from the last successful fetch, in the provider's order."""

    __slots__ = ("fetched_at", "fetching", "names", "tried_at")

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.fetched_at = NEVER
        self.tried_at = NEVER  # end of the last fetch, successful or not
        self.fetching = False

    def __repr__(self) -> str:
        return f"<ModelList of {len(self.names)}{', fetching' if self.fetching else ''}>"


class ModelLists:
    """The lists of all providers. ``request`` starts a fetch and does not wait; ``changed`` is called after a change.

    ``version`` grows with each change.
    """

    def __init__(self) -> None:
        self._lists: dict[_Key, FetchedModels] = {}
        self.request: Callable[[Provider], object] = _nothing
        self.changed: Callable[[], None] = _nothing
        self.version = 0

    def names(self, provider: Provider) -> Collection[str]:
        found = self._lists.get(_key(provider))
        return found.names.keys() if found is not None else ()

    def has(self, provider: Provider, name: str) -> bool:
        return name in self.names(provider)

    def use(self, provider: Provider, now: float) -> None:
        """Fetch the provider's list in the background if it is old. Called when a request uses the provider."""
        found = self._list(provider)
        if not found.fetching and now - found.tried_at >= KEPT:
            self.request(provider)

    def stale(self, providers: Iterable[Provider], now: float) -> list[Provider]:
        """Providers whose list is old: fetch it before GET models is answered."""
        return [each for each in providers if self._awaited(each, now, KEPT)]

    def unsure(self, providers: Iterable[Provider], now: float) -> list[Provider]:
        """Providers whose list may be out of date: fetch it before a name is reported as unknown."""
        return [each for each in providers if self._awaited(each, now, RETRY)]

    def keep(self, providers: Iterable[Provider]) -> None:
        """Drop the lists of all other providers."""
        kept = {_key(provider) for provider in providers}
        self._lists = {key: found for key, found in self._lists.items() if key in kept or found.fetching}
        self.version += 1

    # -- fetching ---------------------------------------------------------------------------------

    def begin(self, provider: Provider) -> None:
        """Record the start of a fetch."""
        self._list(provider).fetching = True

    def end(self, provider: Provider, now: float, names: Iterable[str] | None) -> None:
        """Record the end of a fetch; ``None``: it failed, and the previous names stay."""
        found = self._list(provider)
        found.fetching = False
        found.tried_at = now
        if names is None:
            return
        found.fetched_at = now
        before, found.names = found.names, dict.fromkeys(names)
        if list(before) != list(found.names):
            self.version += 1
            self.changed()

    def _awaited(self, provider: Provider, now: float, age: float) -> bool:
        found = self._list(provider)
        return found.fetching or (now - found.fetched_at >= age and now - found.tried_at >= RETRY)

    def _list(self, provider: Provider) -> FetchedModels:
        key = _key(provider)
        found = self._lists.get(key)
        if found is None:
            found = self._lists[key] = FetchedModels()
        return found


class ListsPending(Exception):
    """The plan needs model lists: fetch those of ``providers``, then plan again."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        super().__init__()
        self.providers = tuple(providers)


def _key(provider: Provider) -> _Key:
    return provider.name, provider.settings.addresses


def _nothing(*_: object) -> None:
    return None
