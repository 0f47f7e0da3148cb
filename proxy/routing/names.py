"""Resolving model names to configured deployments, or to providers that accept any model name.

A name is looked up in this order:

1. names in models.yaml, with or without ``provider/`` in front;
2. ``provider/model``, if that provider accepts any name;
3. upstream names in models.yaml, with or without ``provider/`` in front;
4. providers that accept any name: those whose own list has the name, else the only such provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from proxy.caches import LruCache
from proxy.config.left_out import LeftOutModel
from proxy.config.schema import Routing
from proxy.providers.provider import Provider
from proxy.routing.access import Access
from proxy.routing.building import DeploymentBuilder
from proxy.routing.deployment import Deployment
from proxy.routing.listing import available
from proxy.routing.lists import ModelLists
from proxy.routing.strategies import RoundRobin
from proxy.routing.tiers import Tiers, tiers_of

MOST_UNLISTED = 1000  # cached names that are not configured
LONGEST_UNLISTED = 500  # characters


class Names:
    """Resolves names.

    ``deployments``: all configured ones, including those that are not available. ``left_out``: configured models
    whose provider is not in use. ``any_model``: providers that accept any model name.
    """

    def __init__(
        self,
        routing: Routing,
        providers: Mapping[str, Provider],
        deployments: Iterable[Deployment],
        builder: DeploymentBuilder,
        lists: ModelLists,
        left_out: Sequence[LeftOutModel] = (),
    ) -> None:
        self._routing = routing
        self._providers = providers
        self._builder = builder
        self._lists = lists
        self._own: dict[str, list[Deployment]] = {}  # by configured name
        self._upstream: dict[str, list[Deployment]] = {}  # by upstream name
        for deployment in deployments:
            self._own.setdefault(deployment.name, []).append(deployment)
            if deployment.upstream_model is not None and deployment.upstream_model != deployment.name:
                self._upstream.setdefault(deployment.upstream_model, []).append(deployment)
        self._left_out: dict[str, LeftOutModel] = {}  # by all its names
        for names in ("name", "upstream_model"):
            for model in left_out:
                for name in (getattr(model, names), f"{model.provider}/{getattr(model, names)}"):
                    self._left_out.setdefault(name, model)
        self.any_model = tuple(provider for provider in providers.values() if provider.any_model)
        self._configured: dict[str, Tiers] = {}  # by name, filled at first use
        self._pinned: LruCache[tuple[str, str], Tiers] = LruCache(MOST_UNLISTED)
        self._unlisted: LruCache[tuple[str, str], Tiers] = LruCache(MOST_UNLISTED)

    # -- configured names -------------------------------------------------------------------------

    def configured(self, name: str) -> Tiers:
        """Available deployments with that name; ``()`` if there are none."""
        found = self._configured.get(name)
        if found is None:
            found = self._steps(name, *self._matches(name))
            if found:
                self._configured[name] = found
        return found

    def at(self, provider: Provider, name: str) -> Tiers:
        """Available deployments of one provider with that name."""
        found = self._pinned.get((provider.name, name))
        if found is None:
            found = self._steps(name, *self._matches_at(provider, name))
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
        named, rest = self._split(name)
        if named is not None:
            own = own + list(_of(named.name, self._own.get(rest, ())))
            if named.any_model:
                upstream = list(_of(named.name, upstream))
            upstream = upstream + list(_of(named.name, self._upstream.get(rest, ())))
        return own, upstream

    def _split(self, name: str) -> tuple[Provider | None, str]:
        """The provider before the first slash of a name, and the rest; without one, ``None`` and the name."""
        prefix, slash, rest = name.partition("/")
        named = self._providers.get(prefix) if slash else None
        return named, name if named is None else rest

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

    # -- names that are not configured ------------------------------------------------------------

    def unlisted(self, name: str, now: float, *, waited: bool) -> Tiers:
        """Providers that accept a name which is not configured; ``()`` if there are none.

        ``waited``: the model lists of providers were fetched already.
        """
        named, rest = self._split(name)
        if named is not None and named.any_model:
            return self._used(named, rest, now)
        listing = [provider for provider in self.any_model if self._lists.has(provider, name)]
        if not listing and named is None and len(self.any_model) == 1 and not self._is_elsewhere(name, now, waited):
            listing = [self.any_model[0]]  # even if its list lacks the name
        return tuple(tier for provider in listing for tier in self._used(provider, name, now))

    def _is_elsewhere(self, name: str, now: float, waited: bool) -> bool:
        """Whether a left out model has the name, and the only provider lacks it or its list is pending."""
        if name not in self._left_out:
            return False
        return bool(self._lists.names(self.any_model[0])) or (
            not waited and bool(self._lists.unsure(self.any_model, now))
        )

    def left_out(self, name: str) -> LeftOutModel | None:
        """The configured model with that name whose provider is not in use."""
        return self._left_out.get(name)

    def unsure(self, name: str, now: float) -> list[Provider]:
        """Providers whose list should be fetched, since it may have a name for which ``unlisted`` found none."""
        return self._lists.unsure(self.any_model, now) if 0 < len(name) <= LONGEST_UNLISTED else []

    def unlisted_at(self, provider: Provider, name: str) -> Tiers:
        """The name at one provider."""
        return self.pass_through(provider, name.removeprefix(f"{provider.name}/"))

    def possible_providers(self, name: str) -> tuple[Provider, ...]:
        """Providers that would accept the name behind their own, if there are several and the name has no prefix."""
        return self.any_model if len(self.any_model) > 1 and name.partition("/")[0] not in self._providers else ()

    def listed_only(self, name: str) -> tuple[Provider, str] | None:
        """The provider prefix of the name and the rest, if that provider accepts only configured names."""
        named, rest = self._split(name)
        return None if named is None or named.any_model else (named, rest)

    def listed(self) -> Iterator[tuple[Provider, str, str]]:
        """Models that providers list themselves: provider, upstream name, and the name for clients.

        The name for clients has the provider in front if it would otherwise resolve to another provider.
        """
        for provider in self.any_model:
            for name in self._lists.names(provider):
                named, _ = self._split(name)
                elsewhere = named is not None and named.any_model
                yield provider, name, f"{provider.name}/{name}" if elsewhere else name

    def _used(self, provider: Provider, model: str, now: float) -> Tiers:
        found = self.pass_through(provider, model)
        if found:
            self._lists.use(provider, now)
        return found

    def pass_through(self, provider: Provider, model: str) -> Tiers:
        """``model`` at ``provider``, whether it exists there or not; ``()`` if the name is too long, or not allowed."""
        if not 0 < len(model) <= LONGEST_UNLISTED or not provider.kind.accepts_name(model):
            return ()
        found = self._unlisted.get((provider.name, model))
        if found is None:
            found = (RoundRobin(self._builder.build(s, model, model, unlisted=True) for s in provider.sites),)
            self._unlisted.put((provider.name, model), found)
        return found


def _of(provider: str, deployments: Iterable[Deployment]) -> Iterator[Deployment]:
    return (deployment for deployment in deployments if deployment.provider.name == provider)
