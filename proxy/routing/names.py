"""Resolving model names to configured deployments, or to providers that accept any model name.

A name is looked up in this order:

1. names in models.yaml, with or without ``provider/`` in front;
2. ``provider/model``, if that provider accepts any name;
3. upstream names in models.yaml, with or without ``provider/`` in front;
4. providers that accept any name: those whose own list has the name, else the only such provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from proxy.caches import LruCache
from proxy.config.schema import Routing
from proxy.providers.provider import Provider
from proxy.routing.access import Access
from proxy.routing.deployment import Deployment
from proxy.routing.listing import available
from proxy.routing.tiers import Tiers, tiers_of
from proxy.routing.unlisted import UnlistedNames

MOST_PINNED = 1000  # cached names at one provider


class Names:
    """Resolves names. ``unlisted`` finds providers for those that are neither configured nor discovered.

    ``deployments``: all configured ones, including those that are not available. ``discovered``: those of models that
    the addresses of services list.
    """

    def __init__(
        self,
        routing: Routing,
        deployments: Iterable[Deployment],
        discovered: Iterable[Deployment],
        unlisted: UnlistedNames,
    ) -> None:
        self._routing = routing
        self.unlisted = unlisted
        self._own: dict[str, list[Deployment]] = {}  # by configured name
        self._upstream: dict[str, list[Deployment]] = {}  # by upstream name
        for deployment in deployments:
            self._own.setdefault(deployment.name, []).append(deployment)
            if deployment.upstream_model is not None and deployment.upstream_model != deployment.name:
                self._upstream.setdefault(deployment.upstream_model, []).append(deployment)
        self._discovered: dict[str, list[Deployment]] = {}  # by name
        for deployment in discovered:
            self._discovered.setdefault(deployment.name, []).append(deployment)
        self._configured: dict[str, Tiers] = {}  # by name, filled at first use
        self._pinned: LruCache[tuple[str, str], Tiers] = LruCache(MOST_PINNED)

    def configured(self, name: str) -> Tiers:
        """Available deployments with that name, configured or discovered; ``()`` if there are none."""
        found = self._configured.get(name)
        if found is None:
            matches = self._matches(name)
            found = self._steps(name, *matches) if any(matches) else self._at_services(name)
            if found:
                self._configured[name] = found
        return found

    def at(self, provider: Provider, name: str) -> Tiers:
        """Available deployments of one provider with that name."""
        found = self._pinned.get((provider.name, name))
        if found is None:
            matches = self._matches_at(provider, name)
            found = self._steps(name, *matches) if any(matches) else self._at_services(name, provider)
            if found:
                self._pinned.put((provider.name, name), found)
        return found

    def unavailable(self, name: str, pinned: Provider | None) -> list[Deployment]:
        """Deployments with that name that are configured as not available."""
        own, upstream = self._matches(name) if pinned is None else self._matches_at(pinned, name)
        return [deployment for deployment in (*own, *upstream) if not available(deployment)]

    def is_configured(self, name: str) -> bool:
        """Whether the name is configured, available or not."""
        own, upstream = self._matches(name)
        return bool(own or upstream)

    def known(self, access: Access, at: Provider | None = None) -> tuple[list[str], list[str]]:
        """Configured names and upstream names of available models that ``access`` allows, of one provider or all."""

        def usable(deployment: Deployment) -> bool:
            return available(deployment) and access.allows(deployment) and at in (None, deployment.provider)

        own, upstream = (
            [name for name, found in names.items() if any(map(usable, found))] for names in (self._own, self._upstream)
        )
        return own, upstream

    def _matches(self, name: str) -> tuple[list[Deployment], list[Deployment]]:
        own, upstream = self._own.get(name, []), self._upstream.get(name, [])
        named, rest = self.unlisted.split(name)
        if named is not None:
            own = own + list(_of(named.name, self._own.get(rest, ())))
            if named.any_model:
                upstream = list(_of(named.name, upstream))
            upstream = upstream + list(_of(named.name, self._upstream.get(rest, ())))
        return own, upstream

    def _matches_at(self, provider: Provider, name: str) -> tuple[list[Deployment], list[Deployment]]:
        names = dict.fromkeys((name, name.removeprefix(f"{provider.name}/")))
        own, upstream = (
            [each for known in names for each in _of(provider.name, found.get(known, ()))]
            for found in (self._own, self._upstream)
        )
        return own, upstream

    def _steps(self, name: str, own: Sequence[Deployment], upstream: Sequence[Deployment]) -> Tiers:
        """Tiers of the deployments with that configured name, then of those with that upstream name."""
        first = dict.fromkeys(filter(available, own))
        second = [each for each in dict.fromkeys(filter(available, upstream)) if each not in first]
        return tuple(tier for equals in (list(first), second) for tier in tiers_of(self._routing, name, equals))

    def _at_services(self, name: str, pinned: Provider | None = None) -> Tiers:
        """Tiers of the discovered models with that name."""
        if not self._discovered:
            return ()
        named, rest = self.unlisted.split(name)
        provider = pinned or (named if named is not None and named.any_model else None)
        if provider is not None:
            rest = name.removeprefix(f"{provider.name}/")
        found = self._discovered.get(rest) or self._discovered.get(f"{rest}:latest", [])  # Ollama lists the tag
        return tiers_of(self._routing, name, list(found if provider is None else _of(provider.name, found)))

    def listed_only(self, name: str) -> tuple[Provider, str] | None:
        """The provider prefix of the name and the rest, if that provider accepts only configured names."""
        named, rest = self.unlisted.split(name)
        return None if named is None or named.any_model else (named, rest)


def _of(provider: str, deployments: Iterable[Deployment]) -> Iterator[Deployment]:
    return (deployment for deployment in deployments if deployment.provider.name == provider)
