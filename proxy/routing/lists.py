"""The models that providers list themselves, for providers whose models are not in the configuration.

Live state: it survives a reload. A list says where a name is known, and never that a name is unknown. Pure: ``now`` is
seconds of a monotonic clock; who fetches is ``dispatch/fetching.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from proxy.providers.provider import Provider

KEPT: Final = 300.0  # seconds; a list that is older is fetched again
RETRY: Final = 10.0  # seconds; after a fetch no other one for so long, whatever came of it
NEVER: Final = float("-inf")

_Key = tuple[str, tuple[str, ...]]


class ModelList:
    """One provider's list. ``names`` are the last that it gave, in its order, however long ago."""

    __slots__ = ("fetched_at", "fetching", "names", "tried_at")

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.fetched_at = NEVER
        self.tried_at = NEVER  # the end of the last fetch, good or not
        self.fetching = False

    def __repr__(self) -> str:
        return f"<ModelList of {len(self.names)}{', fetching' if self.fetching else ''}>"


class ModelLists:
    """``request`` begins a fetch and does not wait; ``changed`` is called when a list has other names than before.

    ``version`` grows with each such change.
    """

    def __init__(self) -> None:
        self._lists: dict[_Key, ModelList] = {}
        self.request: Callable[[Provider], object] = _nothing
        self.changed: Callable[[], None] = _nothing
        self.version = 0

    def names(self, provider: Provider) -> Collection[str]:
        found = self._lists.get(_key(provider))
        return found.names.keys() if found is not None else ()

    def has(self, provider: Provider, name: str) -> bool:
        return name in self.names(provider)

    def use(self, provider: Provider, now: float) -> None:
        """A name is handed on to this provider: fetch its list in the background, unless that was tried lately."""
        found = self._list(provider)
        if not found.fetching and now - found.tried_at >= KEPT:
            self.request(provider)

    def stale(self, providers: Iterable[Provider], now: float) -> list[Provider]:
        """Those whose list is worth waiting for before all lists are told."""
        return [each for each in providers if self._awaited(each, now, KEPT)]

    def unsure(self, providers: Iterable[Provider], now: float) -> list[Provider]:
        """Those whose list may have a name by now that it did not have."""
        return [each for each in providers if self._awaited(each, now, RETRY)]

    def keep(self, providers: Iterable[Provider]) -> None:
        """Forget the lists of all others."""
        kept = {_key(provider) for provider in providers}
        self._lists = {key: found for key, found in self._lists.items() if key in kept or found.fetching}
        self.version += 1

    # -- for who fetches --------------------------------------------------------------------------

    def begin(self, provider: Provider) -> None:
        self._list(provider).fetching = True

    def end(self, provider: Provider, now: float, names: Iterable[str] | None) -> None:
        """``None``: the provider gave no list; what it gave before stays."""
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

    def _list(self, provider: Provider) -> ModelList:
        key = _key(provider)
        found = self._lists.get(key)
        if found is None:
            found = self._lists[key] = ModelList()
        return found


class ListsPending(Exception):
    """The plan depends on lists that are not here: wait for those of ``providers``, and plan once more."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        super().__init__()
        self.providers = tuple(providers)


def _key(provider: Provider) -> _Key:
    return provider.name, provider.settings.addresses


def _nothing(*_: object) -> None:
    return None
