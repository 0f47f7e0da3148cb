"""What a model's name means: deployments of the configuration, or a provider that takes any name.

A name is looked up in this order:

1. the names of models.yaml, with and without the name of the provider in front;
2. ``provider/model`` where that provider takes any name: this provider only;
3. the providers' own names for the models of models.yaml, with and without the name of the provider in front;
4. providers that take any name: those that list the name themselves, else the only one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from proxy.config.left_out import LeftOutModel
from proxy.config.schema import Routing
from proxy.providers.provider import Provider
from proxy.routing.access import Access
from proxy.routing.building import DeploymentBuilder
from proxy.routing.deployment import Deployment
from proxy.routing.listing import available
from proxy.routing.lists import ModelLists
from proxy.routing.lru import LruCache
from proxy.routing.strategies import RoundRobin
from proxy.routing.tiers import Steps, tiers_of

MOST_PASSING = 1000  # names that clients made up
LONGEST_PASSING = 500  # characters of one; they are remembered


class Names:
    """``deployments`` are all of the configuration, those that are not available among them.

    ``left_out`` are models of the configuration whose provider does not serve.
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
        self._own: dict[str, list[Deployment]] = {}  # by the name in the configuration
        self._upstream: dict[str, list[Deployment]] = {}  # by the provider's name for it
        for deployment in deployments:
            self._own.setdefault(deployment.name, []).append(deployment)
            if deployment.upstream_model is not None and deployment.upstream_model != deployment.name:
                self._upstream.setdefault(deployment.upstream_model, []).append(deployment)
        self._left_out: dict[str, LeftOutModel] = {}  # by every name that would have found it
        for names in ("name", "upstream_model"):
            for model in left_out:
                for name in (getattr(model, names), f"{model.provider}/{getattr(model, names)}"):
                    self._left_out.setdefault(name, model)
        self.open = tuple(provider for provider in providers.values() if provider.open)
        self._configured: dict[str, Steps] = {}  # by name, made when first asked for
        self._pinned: LruCache[tuple[str, str], Steps] = LruCache(MOST_PASSING)
        self._passing: LruCache[tuple[str, str], Steps] = LruCache(MOST_PASSING)

    # -- names of the configuration ---------------------------------------------------------------

    def configured(self, name: str) -> Steps:
        """The available deployments of that name; ``()`` if there are none."""
        found = self._configured.get(name)
        if found is None:
            found = self._steps(name, *self._meant(name))
            if found:
                self._configured[name] = found
        return found

    def at(self, provider: Provider, name: str) -> Steps:
        """The same of one provider."""
        found = self._pinned.get((provider.name, name))
        if found is None:
            found = self._steps(name, *self._meant_at(provider, name))
            if found:
                self._pinned.put((provider.name, name), found)
        return found

    def unavailable(self, name: str, pinned: Provider | None) -> list[Deployment]:
        """The deployments of that name that the configuration says are not available."""
        own, upstream = self._meant(name) if pinned is None else self._meant_at(pinned, name)
        return [deployment for deployment in (*own, *upstream) if not available(deployment)]

    def means_configured(self, name: str) -> bool:
        """Whether the configuration knows the name, available or not."""
        own, upstream = self._meant(name)
        return bool(own or upstream)

    def known(self, access: Access, at: Provider | None = None) -> tuple[list[str], list[str]]:
        """The names of available models that ``access`` allows, of one provider or of all: our own, and the
        providers' own.
        """

        def usable(deployment: Deployment) -> bool:
            return available(deployment) and access.allows(deployment) and at in (None, deployment.provider)

        own, upstream = (
            [name for name, found in names.items() if any(map(usable, found))] for names in (self._own, self._upstream)
        )
        return own, upstream

    def _meant(self, name: str) -> tuple[list[Deployment], list[Deployment]]:
        own, upstream = self._own.get(name, []), self._upstream.get(name, [])
        named, rest = self._split(name)
        if named is not None:
            own = own + list(_of(named.name, self._own.get(rest, ())))
            if named.open:
                upstream = list(_of(named.name, upstream))
            upstream = upstream + list(_of(named.name, self._upstream.get(rest, ())))
        return own, upstream

    def _split(self, name: str) -> tuple[Provider | None, str]:
        """The provider that stands before the first slash of a name, and what follows; else ``None`` and the name."""
        prefix, slash, rest = name.partition("/")
        named = self._providers.get(prefix) if slash else None
        return named, name if named is None else rest

    def _meant_at(self, provider: Provider, name: str) -> tuple[list[Deployment], list[Deployment]]:
        names = dict.fromkeys((name, name.removeprefix(f"{provider.name}/")))
        own, upstream = (
            [each for known in names for each in _of(provider.name, found.get(known, ()))]
            for found in (self._own, self._upstream)
        )
        return own, upstream

    def _steps(self, name: str, own: Sequence[Deployment], upstream: Sequence[Deployment]) -> Steps:
        """A model of that name goes before those that only their providers call so."""
        first = dict.fromkeys(filter(available, own))
        second = [each for each in dict.fromkeys(filter(available, upstream)) if each not in first]
        return tuple(step for equals in (list(first), second) for step in tiers_of(self._routing, name, equals))

    # -- any other name ---------------------------------------------------------------------------

    def passing(self, name: str, now: float, *, waited: bool) -> Steps:
        """Providers that take the name although the configuration does not know it; ``()`` if there are none.

        ``waited``: the lists of providers were waited for already.
        """
        named, rest = self._split(name)
        if named is not None and named.open:
            return self._used(named, rest, now)
        listing = [provider for provider in self.open if self._lists.has(provider, name)]
        if not listing and named is None and len(self.open) == 1 and not self._is_elsewhere(name, now, waited):
            listing = [self.open[0]]  # whatever its list says
        return tuple(step for provider in listing for step in self._used(provider, name, now))

    def _is_elsewhere(self, name: str, now: float, waited: bool) -> bool:
        """Whether the name is that of a left out model, and the only provider has no such model, or may yet list it."""
        if name not in self._left_out:
            return False
        return bool(self._lists.names(self.open[0])) or (not waited and bool(self._lists.unsure(self.open, now)))

    def left_out(self, name: str) -> LeftOutModel | None:
        """The model of that name whose provider does not serve."""
        return self._left_out.get(name)

    def unsure(self, name: str, now: float) -> list[Provider]:
        """Providers whose lists may yet say that they have a name for which ``passing`` found none."""
        return self._lists.unsure(self.open, now) if 0 < len(name) <= LONGEST_PASSING else []

    def passing_at(self, provider: Provider, name: str) -> Steps:
        """The name at one provider."""
        return self.handed_on(provider, name.removeprefix(f"{provider.name}/"))

    def takers(self, name: str) -> tuple[Provider, ...]:
        """Of several providers that take any name those that may have been meant, if the name says none of them."""
        return self.open if len(self.open) > 1 and name.partition("/")[0] not in self._providers else ()

    def closed(self, name: str) -> tuple[Provider, str] | None:
        """The provider that the name says, if it takes none but listed names, and the rest of the name."""
        named, rest = self._split(name)
        return None if named is None or named.open else (named, rest)

    def listed(self) -> Iterator[tuple[Provider, str, str]]:
        """What providers that take any name list themselves: the provider, its name for the model, and ours.

        Ours is the same, unless it would be taken for the name of another provider's model.
        """
        for provider in self.open:
            for name in self._lists.names(provider):
                named, _ = self._split(name)
                elsewhere = named is not None and named.open
                yield provider, name, f"{provider.name}/{name}" if elsewhere else name

    def _used(self, provider: Provider, model: str, now: float) -> Steps:
        found = self.handed_on(provider, model)
        if found:
            self._lists.use(provider, now)
        return found

    def handed_on(self, provider: Provider, model: str) -> Steps:
        """``model`` at ``provider``, whether it knows it or not; ``()`` if the name is too long."""
        if not 0 < len(model) <= LONGEST_PASSING:
            return ()
        found = self._passing.get((provider.name, model))
        if found is None:
            found = (RoundRobin(self._builder.build(s, model, model, passing=True) for s in provider.sites),)
            self._passing.put((provider.name, model), found)
        return found


def _of(provider: str, deployments: Iterable[Deployment]) -> Iterator[Deployment]:
    return (deployment for deployment in deployments if deployment.provider.name == provider)
