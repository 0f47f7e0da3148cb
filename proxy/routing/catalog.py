"""What can be asked for, compiled from the configuration: names to steps of deployments.

What a catalog holds never changes; a reload makes a new one, and an exchange keeps the one that it began with.
Whose turn it is, and what was compiled for which criteria, is remembered here; what is known of a deployment is
not (``routing/live.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from proxy.config.schema import Config, Fallback, Model, Strategy, Timeouts
from proxy.config.timeouts import Clocks, resolve
from proxy.errors import ClientFault
from proxy.providers.openai import Provider, Site
from proxy.routing import listing
from proxy.routing.access import ALL, Access, Allowed, forbidden
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import OPAQUE
from proxy.routing.live import Registry
from proxy.routing.plan import Plan
from proxy.routing.recent import Recent
from proxy.routing.selection import Selection, no_match, nothing_left
from proxy.routing.spec import Spec
from proxy.routing.strategies import STRATEGIES, RoundRobin, Step
from proxy.wire.call import AUTO
from proxy.wire.criteria import NONE, Criteria

if TYPE_CHECKING:
    from random import Random

__all__ = ["Catalog", "Deployment"]

MOST_PASSING = 1000  # names that clients made up
MOST_LISTINGS = 100
LONGEST_PASSING = 500  # characters of one; they are remembered
_DEFAULT: Strategy = "round_robin"

Steps = tuple[Step, ...]


class Catalog:
    """``plan`` proposes deployments; ``listing`` is the body of GET models; ``fallback`` is the configured one's."""

    def __init__(self, config: Config, registry: Registry, *, version: str, created: int) -> None:
        self.config = config
        self._registry = registry
        self._created = created
        self._clocks: dict[tuple[str, Timeouts | None], tuple[Clocks, Clocks]] = {}
        listed = {model.provider for model in config.models}
        self.providers = {
            name: Provider(name, settings, version=version, open_=name not in listed)
            for name, settings in config.providers.items()
        }
        self.deployments = tuple(
            self._deployment(site, model.name, model.upstream_model, model)
            for model in config.models
            if model.provider in self.providers
            for site in self.providers[model.provider].sites
        )
        usable = [deployment for deployment in self.deployments if listing.available(deployment)]
        self._own: dict[str, list[Deployment]] = {}  # by the name in the configuration
        self._upstream: dict[str, list[Deployment]] = {}  # by the provider's name for it
        for deployment in usable:
            _enter(self._own, deployment.name, deployment)
            if deployment.upstream_model is not None and deployment.upstream_model != deployment.name:
                _enter(self._upstream, deployment.upstream_model, deployment)
        self._open = tuple(provider for provider in self.providers.values() if provider.open)
        self._any = {
            name: RoundRobin([self._deployment(provider.sites[0], "", None, None)])
            for name, provider in self.providers.items()
        }
        self._steps: dict[str, Steps] = {}  # of known names, made when first asked for
        self._pinned: Recent[tuple[str, str], Steps] = Recent(MOST_PASSING)
        self._passing: Recent[tuple[str, str], Steps] = Recent(MOST_PASSING)
        self._selection = Selection(self.deployments)
        self._allowed = Allowed()
        self._auto = self._auto_steps(usable) or tuple(self._any[provider.name] for provider in self._open[:1])
        self._auto_at = {
            provider.name: self._auto_steps(d for d in usable if d.provider is provider) or (self._any[provider.name],)
            for provider in self.providers.values()
        }
        self.affine = config.routing.affinity != "off"  # whether requests have a home at all
        if self.affine:
            for step in self._auto:
                step.homes()  # the largest: the first who asks shall not wait for it
        self.fallback = self._fallback(config.routing.fallback)
        self._last = RoundRobin(self.fallback) if self.fallback else None
        self.listing = listing.listing(self.deployments, created)
        self._listings: Recent[Access, bytes] = Recent(MOST_LISTINGS)

    # -- once per request -------------------------------------------------------------------------

    def ready_plan(self, name: str, endpoint: str, affinity: bytes, random: Random) -> Plan | None:
        """The usual plan, at little cost: what ``plan`` gives for one name, nothing else wished, and all access.

        ``None`` for a name that is not known, or that nobody asked for yet.
        """
        steps = self._steps.get(name)
        return None if steps is None else Plan(steps, endpoint, affinity, random, self._last)

    def plan(self, spec: Spec, pinned: Provider | None, now: float, random: Random) -> Plan:
        """The candidates for what is asked, at nobody but the provider ``pinned`` if there is one.

        Raises ClientFault: 404 ``model_not_found`` if no name is known, 403 ``model_not_allowed`` if whoever asks may
        use none of them, 404 ``no_model_matches`` if ``auto`` is asked for and the criteria leave nobody.
        """
        named: list[Step] = []
        unknown = []
        for name in dict.fromkeys(spec.names):
            found = self._named(name) if pinned is None else self._named_at(pinned, name)
            if found is None:
                unknown.append(name)
            else:
                named += found
        auto: Steps = ()
        if spec.auto:
            auto = self._auto if pinned is None else self._auto_at[pinned.name]
        if not named and not auto:
            raise self.unknown(spec.names[0], spec.access) if spec.names else _nobody()
        last: Step | None = self._last if pinned is None else None
        if spec.access is not ALL:
            named, auto = list(self._allowed.of(named, spec.access)), self._allowed.of(auto, spec.access)
            if not named and not auto:
                raise forbidden(spec.names)
            last = next(iter(self._allowed.of((last,), spec.access)), None) if last is not None else None
        plan = Plan((*named, *auto), spec.endpoint, spec.affinity, random, last, tuple(unknown))
        if spec.criteria is not NONE:
            self._narrow(plan, tuple(named), auto, spec.criteria, now)
        return plan

    def _narrow(self, plan: Plan, named: Steps, auto: Steps, criteria: Criteria, now: float) -> None:
        """Apply the criteria: to what ``auto`` stands for. Of a named model only the deployment is theirs to prefer."""
        if criteria.prefer_fast:
            named = self._selection.of(named, Criteria(prefer_fast=True))
            plan.affinity = b""
        if auto:
            auto = self._selected(auto, criteria, now, required=not named)
            if criteria.min_success_rate:
                plan.rate = criteria.min_success_rate
                plan.named = frozenset(each for step in named for each in step.deployments)
        plan.steps = named + auto

    def opaque_plan(self, provider: Provider, access: Access, random: Random) -> Plan:
        """For requests without a model, on paths of one provider. Raises ClientFault (403)."""
        if not access.reaches(provider):
            raise forbidden(())
        return Plan((self._any[provider.name],), OPAQUE.path, b"", random)

    def _selected(self, steps: Steps, criteria: Criteria, now: float, *, required: bool) -> Steps:
        """The steps as the criteria leave them. Raises ClientFault (404) if that is nothing and it is ``required``."""
        left = self._selection.of(steps, criteria)
        if not required:
            return left
        if not left:
            raise nothing_left(steps, criteria)
        least = criteria.min_success_rate
        if least and not any(_succeeds(each, least, now) for step in left for each in step.deployments):
            raise no_match("min_success_rate", least)
        return left

    def _named(self, name: str) -> Steps | None:
        found = self._steps.get(name) or self._known(name)
        if found:
            return found
        prefix, slash, rest = name.partition("/")
        provider = self.providers.get(prefix) if slash else None
        if provider is not None:
            return self._handed_on(provider, rest) if provider.open and rest else None
        return self._handed_on(self._open[0], name) if self._open else None

    def _known(self, name: str) -> Steps:
        """Of a name that the configuration knows, else ``()``."""
        own, upstream = self._own.get(name, []), self._upstream.get(name, [])
        prefix, slash, rest = name.partition("/")
        if slash and prefix in self.providers:
            own = own + _at(prefix, self._own.get(rest, []))
            upstream = upstream + _at(prefix, self._upstream.get(rest, []))
        steps = self._named_steps(name, own, upstream)
        if steps:
            self._steps[name] = steps
        return steps

    def _named_at(self, provider: Provider, name: str) -> Steps | None:
        found = self._pinned.get((provider.name, name))
        if found is None:
            rest = name.removeprefix(f"{provider.name}/")
            own, upstream = (
                [each for known in dict.fromkeys((name, rest)) for each in _at(provider.name, names.get(known, []))]
                for names in (self._own, self._upstream)
            )
            found = self._named_steps(name, own, upstream)
            if not found:
                return self._handed_on(provider, rest)
            self._pinned.put((provider.name, name), found)
        return found

    def _handed_on(self, provider: Provider, model: str) -> Steps | None:
        """A name that we do not know, and its provider may."""
        if len(model) > LONGEST_PASSING:
            return None
        found = self._passing.get((provider.name, model))
        if found is None:
            found = (RoundRobin(self._deployment(s, model, model, None, passing=True) for s in provider.sites),)
            self._passing.put((provider.name, model), found)
        return found

    # -- what is told of the models ---------------------------------------------------------------

    def find(self, name: str, access: Access = ALL) -> bytes | None:
        """The OpenAI model object of GET models/{id}, as JSON; ``None``: there is none for whoever asks."""
        steps = self._steps.get(name) or self._known(name)
        if access is not ALL:
            steps = self._allowed.of(steps, access)
        return listing.one(steps[0].deployments[0], self._created) if steps else None

    def listed(self, access: Access) -> bytes:
        """The body of GET models for whoever may use that much."""
        if access is ALL:
            return self.listing
        found = self._listings.get(access)
        if found is None:
            found = listing.listing([each for each in self.deployments if access.allows(each)], self._created)
            self._listings.put(access, found)
        return found

    def unknown(self, model: str, access: Access = ALL) -> ClientFault:
        """The 404 for a name that leads nowhere, with the names that whoever may use that much may have meant."""
        own, upstream = (
            names if access is ALL else [name for name, found in names.items() if any(map(access.allows, found))]
            for names in (self._own, self._upstream)
        )
        return listing.unknown(model, [*own, *upstream], own)

    # -- compiling --------------------------------------------------------------------------------

    def _deployment(
        self, site: Site, name: str, upstream: str | None, model: Model | None, *, passing: bool = False
    ) -> Deployment:
        provider = site.provider
        label = f"{provider.name}/{name}"
        # By what stays the same at a reload. Another upstream model is another deployment, whatever its name.
        key = f"{label}@{site.base_url}" if upstream in (None, name) else f"{label}={upstream}@{site.base_url}"
        quota = (model.quota_group if model is not None else "") or provider.settings.quota_group
        if len(provider.sites) > 1:
            label = f"{label}#{provider.sites.index(site) + 1}"
        return Deployment(
            site,
            self._registry.live(key, quota, passing=passing),
            self._clocks_of(provider, model),
            name=name,
            upstream_model=upstream,
            model=model,
            label=label,
        )

    def _clocks_of(self, provider: Provider, model: Model | None) -> tuple[Clocks, Clocks]:
        """For plain answers and for streams; the same for many, so they are made once."""
        key = provider.name, model.timeouts if model is not None else None
        found = self._clocks.get(key)
        if found is None:
            found = self._clocks[key] = (
                resolve(self.config, provider.settings, model, False),
                resolve(self.config, provider.settings, model, True),
            )
        return found

    def _named_steps(self, name: str, own: Iterable[Deployment], upstream: Iterable[Deployment]) -> Steps:
        """A model of that name goes before those that only their providers call so."""
        first = dict.fromkeys(own)
        second = [deployment for deployment in dict.fromkeys(upstream) if deployment not in first]
        return tuple(step for equals in (first, second) for step in self._tiers(name, list(equals)))

    def _tiers(self, name: str, equals: list[Deployment]) -> list[Step]:
        """Those of weight 0 are asked when nothing else is left."""
        if not equals:
            return []
        routing = self.config.routing
        named = routing.strategies.get(name) or routing.strategies.get(equals[0].name) or routing.strategy or _DEFAULT
        return _split(STRATEGIES[named], equals)

    def _auto_steps(self, usable: Iterable[Deployment]) -> Steps:
        routing = self.config.routing
        return tuple(_split(STRATEGIES[routing.strategies.get(AUTO) or routing.strategy or "smart"], list(usable)))

    def _fallback(self, wanted: Fallback | None) -> tuple[Deployment, ...]:
        provider = self.providers.get(wanted.provider) if wanted is not None and wanted.enabled else None
        if wanted is None or provider is None:
            return ()
        at_home = [deployment for deployment in self.deployments if deployment.provider is provider]
        found = [deployment for deployment in at_home if deployment.name == wanted.model]
        found = found or [deployment for deployment in at_home if deployment.upstream_model == wanted.model]
        if found:
            return tuple(filter(listing.available, found))
        return tuple(self._deployment(site, wanted.model, wanted.model, None) for site in provider.sites)


def _split(kind: type[Step], equals: list[Deployment]) -> list[Step]:
    weighty = [deployment for deployment in equals if deployment.weight]
    weightless = [deployment for deployment in equals if not deployment.weight]
    return [kind(tier) for tier in (weighty, weightless) if tier]


def _at(provider: str, deployments: Iterable[Deployment]) -> list[Deployment]:
    return [deployment for deployment in deployments if deployment.provider.name == provider]


def _enter(names: dict[str, list[Deployment]], name: str, deployment: Deployment) -> None:
    names.setdefault(name, []).append(deployment)


def _succeeds(deployment: Deployment, least: float, now: float) -> bool:
    rate = deployment.live.statistics.success_rate(now)
    return rate is None or rate >= least


def _nobody() -> ClientFault:
    return ClientFault("No model is available.", status=404, param="model", code="model_not_found")
