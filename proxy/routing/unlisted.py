"""Names that are not configured: those that providers list, and those that a provider accepts unseen.

A name goes only to those addresses of a provider that list it, as far as their lists are known. An address of a service
that has given its list is known to serve nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from proxy.caches import LruCache
from proxy.config.left_out import LeftOutModel
from proxy.config.schema import Routing
from proxy.dialects.call import AUTO
from proxy.providers.provider import Provider, Site
from proxy.routing.building import DeploymentBuilder
from proxy.routing.deployment import Deployment
from proxy.routing.lists import ModelLists
from proxy.routing.tiers import Tiers, tiers_of

MOST_UNLISTED = 1000  # cached names that are not configured
LONGEST_UNLISTED = 500  # characters


class UnlistedNames:
    """Finds providers for them. ``any_model``: those that accept any model name.

    ``left_out``: configured models whose provider is not in use.
    """

    def __init__(
        self,
        routing: Routing,
        providers: Mapping[str, Provider],
        builder: DeploymentBuilder,
        lists: ModelLists,
        left_out: Sequence[LeftOutModel] = (),
    ) -> None:
        self._routing = routing
        self._providers = providers
        self._builder = builder
        self._lists = lists
        self._left_out: dict[str, LeftOutModel] = {}  # by all its names
        for names in ("name", "upstream_model"):
            for model in left_out:
                for name in (getattr(model, names), f"{model.provider}/{getattr(model, names)}"):
                    self._left_out.setdefault(name, model)
        self.any_model = tuple(provider for provider in providers.values() if provider.any_model)
        self._unlisted: LruCache[tuple[str, str, int], Tiers] = LruCache(MOST_UNLISTED)

    def split(self, name: str) -> tuple[Provider | None, str]:
        """The provider before the first slash of a name, and the rest; without one, ``None`` and the name."""
        prefix, slash, rest = name.partition("/")
        named = self._providers.get(prefix) if slash else None
        return named, name if named is None else rest

    def find(self, name: str, now: float, *, waited: bool) -> Tiers:
        """Providers that accept a name which is not configured; ``()`` if there are none.

        ``waited``: the model lists of providers were fetched already.
        """
        named, rest = self.split(name)
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

    def at(self, provider: Provider, name: str) -> Tiers:
        """The name at one provider."""
        return self.pass_through(provider, name.removeprefix(f"{provider.name}/"))

    def _used(self, provider: Provider, model: str, now: float) -> Tiers:
        found = self.pass_through(provider, model)
        if found:
            self._lists.use(provider, now)
        return found

    def pass_through(self, provider: Provider, model: str) -> Tiers:
        """``model`` at ``provider``, whether it exists there or not; ``()`` if the name is too long, or not allowed."""
        if not 0 < len(model) <= LONGEST_UNLISTED or not provider.kind.accepts_name(model):
            return ()
        key = provider.name, model, self._lists.version
        found = self._unlisted.get(key)
        if found is None:
            found = tuple(
                tier
                for sites in self._sites_for(provider, model)
                for tier in tiers_of(
                    self._routing, model, [self._builder.build(site, model, model, unlisted=True) for site in sites]
                )
            )
            self._unlisted.put(key, found)
        return found

    def _sites_for(self, provider: Provider, model: str) -> tuple[list[Site], list[Site]]:
        """Where a provider is sent the name: the addresses that list it, then those whose list is not known."""
        present = [site for site in provider.sites if site.address.present]
        listing = [site for site in present if model in self._lists.names_at(site)]
        if not listing and not provider.settings.services:
            return present, []
        return listing, [site for site in present if not self._lists.is_known(site)]

    def unsure(self, name: str, now: float) -> list[Site]:
        """Addresses whose list should be fetched, since it may have a name for which ``unlisted`` found none."""
        return self._lists.unsure(self.any_model, now) if 0 < len(name) <= LONGEST_UNLISTED else []

    def undiscovered(self, pinned: Provider | None, now: float) -> list[Site]:
        """Addresses of services whose list should be fetched, since ``auto`` may choose a model of it."""
        providers = self.any_model if pinned is None else (pinned,)
        return self._lists.unsure((each for each in providers if each.any_model and each.settings.services), now)

    def absent(self, name: str, pinned: Provider | None) -> list[Deployment]:
        """What stands for a name at a provider that would serve it, or did, and has no address now.

        It may be ``auto``, which any provider would serve.
        """
        named, rest = self.split(name)
        provider = pinned or named
        providers = self.any_model if provider is None else (provider,)
        return [
            self._builder.build(each.sites[0], rest, rest, unlisted=True)
            for each in providers
            if not each.sites[0].address.present
            and each.any_model
            and (len(providers) == 1 or name == AUTO or self._lists.had(each, name))
        ]

    def left_out(self, name: str) -> LeftOutModel | None:
        """The configured model with that name whose provider is not in use."""
        return self._left_out.get(name)

    def possible_providers(self, name: str) -> tuple[Provider, ...]:
        """Providers that would accept the name behind their own, if there are several and the name has no prefix."""
        return self.any_model if len(self.any_model) > 1 and name.partition("/")[0] not in self._providers else ()

    def listed(self) -> Iterator[tuple[Provider, str, str]]:
        """Models that providers list themselves: provider, upstream name, and the name for clients.

        The name for clients has the provider in front if it would otherwise resolve to another provider.
        """
        for provider in self.any_model:
            for name in self._lists.names(provider):
                named, _ = self.split(name)
                elsewhere = named is not None and named.any_model
                yield provider, name, f"{provider.name}/{name}" if elsewhere else name
