"""The catalog: deployments compiled from the configuration, and plans made from them.

A catalog never changes. A reload makes a new one, as does a change of the addresses of a service, and an exchange
keeps the one that it began with. Turns and cached
results belong to the catalog; the live state of deployments does not (``routing/live.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.config.any_model import any_model
from proxy.config.left_out import LeftOutModel
from proxy.config.schema import Config, Fallback
from proxy.dialects.call import AUTO
from proxy.errors import GatewayError
from proxy.pricing.catalog import PriceCatalog
from proxy.providers.provider import Provider, Site
from proxy.routing import faults
from proxy.routing.access import ALL, Access, forbidden, forbidden_provider
from proxy.routing.addresses import Groups, no_services, present_addresses
from proxy.routing.aliases import Aliases
from proxy.routing.building import DeploymentBuilder
from proxy.routing.criteria_filter import CriteriaFilter, no_match, nothing_left
from proxy.routing.deployment import Deployment
from proxy.routing.discovered import discovered, suits_auto
from proxy.routing.endpoints import OPAQUE, PATHS
from proxy.routing.listing import available
from proxy.routing.lists import ListsPending, ModelLists
from proxy.routing.live import Registry
from proxy.routing.model_pages import ModelPages
from proxy.routing.names import Names
from proxy.routing.patching import united
from proxy.routing.plan import Plan
from proxy.routing.spec import Spec
from proxy.routing.strategies import RoundRobin, Tier
from proxy.routing.tier_filter import TierFilter
from proxy.routing.tiers import Tiers, auto_tiers
from proxy.routing.unlisted import UnlistedNames
from proxy.wire.criteria import NONE, Criteria

if TYPE_CHECKING:
    from random import Random

__all__ = ["Catalog", "Deployment"]


class Catalog:
    """Makes plans. ``pages`` renders the models for clients; ``fallback``: deployments of the configured fallback.

    ``lists``: model lists fetched from providers; they outlive the catalog. ``left_out``: configured models whose
    provider is not in use, for a helpful error. ``prices``: ``None`` for the shipped ones. ``epoch``: Unix time at
    which the clock of ``now`` was 0, for prices that change at a date. ``groups``: the addresses of services.
    ``before``: if it is of the same configuration, what has not changed since is used again.
    ``discovered``: deployments of models that the addresses of services list.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        *,
        version: str,
        created: int,
        via: bytes = b"",
        lists: ModelLists | None = None,
        left_out: Sequence[LeftOutModel] = (),
        prices: PriceCatalog | None = None,
        epoch: float = 0.0,
        groups: Groups = no_services,
        before: Catalog | None = None,
    ) -> None:
        self.config = config
        self._lists = lists = lists or ModelLists()
        if before is not None and before.config is config:
            providers, builder = before.providers, before._builder
        else:
            accepting = any_model(config)
            states = {name: registry.provider(name, settings) for name, settings in config.providers.items()}
            providers = {
                name: Provider(
                    name, config.providers[name], state, version=version, any_model=name in accepting, via=via
                )
                for name, state in states.items()
            }
            builder = DeploymentBuilder(config, registry, prices, epoch)
        self.providers: Mapping[str, Provider] = providers
        self._builder: DeploymentBuilder = builder
        for provider in self.providers.values():
            provider.place(present_addresses(provider, groups, config.discovery.region))
        builder.begin({site for provider in self.providers.values() for site in provider.sites})
        self.deployments = tuple(
            builder.configured(site, model)
            for model in config.models
            if model.provider in self.providers
            for site in self.providers[model.provider].sites
        )
        self.discovered = tuple(discovered(self.providers.values(), lists, builder))
        self.patches = united(  # of bodies that any provider may get
            [
                *(deployment.patches for deployment in self.deployments),
                *(builder.patches(site) for provider in self.providers.values() for site in provider.sites),
            ]
        )
        self._unlisted = UnlistedNames(config.routing, providers, builder, lists, left_out)
        self._names = names = Names(config.routing, self.deployments, self.discovered, self._unlisted)
        self.aliases = Aliases(config.aliases, names.is_configured)
        # Files and the like are at one address, which is the same as long as it is there.
        nearest = {name: min(each.sites, key=lambda site: site.address.tier) for name, each in self.providers.items()}
        self._passthrough = {name: RoundRobin([builder.build(site, "", None)]) for name, site in nearest.items()}
        self._by_criteria = CriteriaFilter(self.deployments)
        self._by_endpoint = TierFilter(Deployment.serves)
        self._by_auto_endpoint = TierFilter(Deployment.serves_auto)
        self._by_access: TierFilter[Access] = TierFilter(lambda deployment, access: access.allows(deployment))
        usable = (*filter(available, self.deployments), *filter(suits_auto, self.discovered))
        self._auto = self._auto_by_path(usable)
        self._auto_at = {
            provider.name: auto_tiers(config.routing, (each for each in usable if each.provider is provider))
            for provider in self.providers.values()
        }
        self.has_affinity = config.routing.affinity != "off"
        if self.has_affinity:
            for tier in self._auto["chat/completions"]:
                tier.ring()  # built now, as it is the largest and would delay the first request
        self.fallback = self._fallback(config.routing.fallback)
        fallback: Tiers = (RoundRobin(self.fallback),) if self.fallback else ()
        self._fallback_tier = {path: next(iter(self._by_endpoint.apply(fallback, path)), None) for path in PATHS}
        # By path: tiers of names that were requested before, and the fallback.
        self._cached: dict[str, tuple[dict[str, Tiers], Tier | None]] = {
            path: ({}, self._fallback_tier[path]) for path in PATHS
        }
        builder.end()
        self.pages = ModelPages(self.deployments, names, builder, self.aliases, lists, created)

    def prepare(self, groups: Groups) -> Iterator[None]:
        """Build what another catalog of this configuration needs for the present addresses, as far as it is new.

        Yields between portions. Addresses may change meanwhile. Raises ConfigError.
        """
        region = self.config.discovery.region
        for provider in self.providers.values():
            if provider.settings.services:
                yield from self._builder.prepare(provider.prepare(present_addresses(provider, groups, region)))

    # -- once per request -------------------------------------------------------------------------

    def cached_plan(self, name: str, endpoint: str, affinity: bytes, random: Random) -> Plan | None:
        """The plan for one name without criteria and with unrestricted access, from the cache.

        ``None`` for a name that is unknown or was not requested before.
        """
        by_name, fallback = self._cached[endpoint]
        tiers = by_name.get(name)
        return None if tiers is None else Plan(tiers, endpoint, affinity, random, fallback)

    def plan(self, spec: Spec, pinned: Provider | None, now: float, random: Random) -> Plan:
        """The candidates for a spec, only at the provider ``pinned`` if it is given.

        Raises ListsPending if a name may be in a model list that is not fetched yet, unless the spec has ``waited``.
        Raises GatewayError (503 ``no_provider``) if no provider is usable. Raises ClientFault:

        - 404 ``model_not_found``: none of the names exists;
        - 400 ``unsupported_endpoint``: the named models do not serve the endpoint;
        - 403 ``model_not_allowed``: the credential may use none of the models;
        - 404 ``no_model_matches``: for ``auto``, no model serves the endpoint and satisfies the criteria;
        - 400 ``model_required``: for ``auto``, no models are configured.
        """
        found = self._resolve(spec, pinned, now)
        if spec.auto:
            self._find_auto(found, spec, pinned, now)
        if spec.access is not ALL:
            self._restrict(found, spec)
        if not (found.named or found.auto or found.unavailable):
            raise self._nothing(found, spec)
        fallback = self._fallback_tier.get(spec.endpoint) if pinned is None else None
        if fallback is not None and spec.access is not ALL:
            fallback = next(iter(self._by_access.apply((fallback,), spec.access)), None)
        tiers = (*found.named, *found.auto)
        plan = Plan(tiers, spec.endpoint, spec.affinity, random, fallback, tuple(found.unknown))
        if found.unavailable:
            _skip_unavailable(plan, found.unavailable)
        if spec.criteria is not NONE:
            self._narrow(plan, found, spec.criteria, now)
        return plan

    def opaque_plan(self, provider: Provider, access: Access, random: Random) -> Plan:
        """The plan for a request without a model, on a path of one provider. Raises ClientFault (403)."""
        if not access.allows_provider(provider):
            raise forbidden_provider(provider.name)
        tier = self._passthrough[provider.name]
        usable = [each for each in tier.deployments if available(each)]
        plan = Plan((tier,) if usable else (), OPAQUE.path, b"", random)
        if not usable:
            _skip_unavailable(plan, tier.deployments)
        return plan

    def _resolve(self, spec: Spec, pinned: Provider | None, now: float) -> _Resolution:
        """Resolve the names of a spec."""
        names, unlisted, found = self._names, self._unlisted, _Resolution()
        for name in dict.fromkeys(spec.names):
            tiers = names.configured(name) if pinned is None else names.at(pinned, name)
            if tiers:
                self._serve(found, name, tiers, spec.endpoint, remember=pinned is None)
            elif unavailable := names.unavailable(name, pinned):
                found.unavailable += unavailable
            elif passed := (
                unlisted.find(name, now, waited=spec.waited) if pinned is None else unlisted.at(pinned, name)
            ):
                self._serve(found, name, passed, spec.endpoint, remember=False)
            elif pinned is None and not spec.waited and (unsure := unlisted.unsure(name, now)):
                raise ListsPending(unsure)
            elif absent := unlisted.absent(name, pinned):
                found.unavailable += absent
            else:
                found.unknown.append(name)
        return found

    def _serve(self, found: _Resolution, name: str, tiers: Tiers, endpoint: str, *, remember: bool) -> None:
        """Add the deployments of a named model that serve the endpoint."""
        served = self._by_endpoint.apply(tiers, endpoint)
        found.named += served
        if not served:
            found.unserved[name] = [deployment for tier in tiers for deployment in tier.deployments]
        elif remember and endpoint in self._cached and name not in self.aliases.exact:
            self._cached[endpoint][0][name] = served

    def _find_auto(self, found: _Resolution, spec: Spec, pinned: Provider | None, now: float) -> None:
        """Add what ``auto`` stands for. At a provider without configured models, the provider chooses itself.

        Raises ListsPending if only models of a list that is not fetched yet could be chosen.
        """
        endpoint = spec.endpoint
        candidates: Sequence[Deployment] = (*self.deployments, *self.discovered)
        if pinned is None:
            found.auto = self._auto.get(endpoint) or ()
        else:
            candidates = [deployment for deployment in candidates if deployment.provider is pinned]
            own = self._by_auto_endpoint.apply(self._auto_at[pinned.name], endpoint)
            passed = filter(lambda tier: all(map(available, tier.deployments)), (self._passthrough[pinned.name],))
            found.auto = own if candidates else self._by_endpoint.apply(passed, endpoint)
        if found.auto:
            return
        found.unavailable += [each for each in candidates if not available(each) and each.serves_auto(endpoint)]
        if found.named or found.unavailable:
            return
        if not spec.waited and (unsure := self._unlisted.undiscovered(pinned, now)):
            raise ListsPending(unsure)
        found.unavailable += self._unlisted.absent(AUTO, pinned)

    def _restrict(self, found: _Resolution, spec: Spec) -> None:
        """Remove what the credential may not use. Raises ClientFault (403) if nothing is left."""
        access = spec.access
        some = found.named or found.auto or found.unavailable or found.unserved
        found.named = list(self._by_access.apply(found.named, access))
        found.auto = self._by_access.apply(found.auto, access)
        found.unavailable = list(filter(access.allows, found.unavailable))
        found.unserved = {name: each for name, each in found.unserved.items() if any(map(access.allows, each))}
        if some and not (found.named or found.auto or found.unavailable or found.unserved):
            raise forbidden(spec.names)

    def _nothing(self, found: _Resolution, spec: Spec) -> GatewayError:
        """The error for a spec without candidates."""
        if not self.providers:
            return faults.no_provider()
        for name, deployments in found.unserved.items():
            return faults.not_served(name, deployments, spec.endpoint)
        if not spec.auto:
            return self.pages.unknown(spec.names[0], spec.access)
        if self.deployments or self.discovered:
            return faults.auto_not_served(spec.endpoint)
        return faults.auto_unlisted() if self._unlisted.any_model else faults.no_model()

    def _narrow(self, plan: Plan, found: _Resolution, criteria: Criteria, now: float) -> None:
        """Apply the criteria to what ``auto`` stands for. Of named models, only ``prefer_fast`` is applied."""
        named, auto = tuple(found.named), found.auto
        if criteria.prefer_fast:
            named = self._by_criteria.apply(named, Criteria(prefer_fast=True))
            plan.affinity = b""
        if auto:
            auto = self._selected(auto, criteria, now, required=not named)
            if criteria.min_success_rate:
                plan.min_success_rate = criteria.min_success_rate
                plan.named = frozenset(each for tier in named for each in tier.deployments)
        plan.tiers = named + auto

    def _selected(self, tiers: Tiers, criteria: Criteria, now: float, *, required: bool) -> Tiers:
        """The tiers that satisfy the criteria. Raises ClientFault (404) if ``required`` and there are none."""
        left = self._by_criteria.apply(tiers, criteria)
        if not required:
            return left
        if not left:
            raise nothing_left(tiers, criteria)
        least = criteria.min_success_rate
        if least and not any(_succeeds(each, least, now) for tier in left for each in tier.deployments):
            raise no_match("min_success_rate", least)
        return left

    # -- models -----------------------------------------------------------------------------------

    @property
    def listing(self) -> bytes:
        """The body of GET models for unrestricted access."""
        return self.pages.listed(ALL)

    def listed_models(self) -> list[tuple[str, str]]:
        """Models that providers list themselves, as (provider, upstream name)."""
        return [(provider.name, name) for provider, name, _ in self._unlisted.listed()]

    def stale_lists(self, now: float) -> list[Site]:
        """Addresses whose model list should be fetched before GET models is answered."""
        return self._lists.stale(self._unlisted.any_model, now)

    @property
    def keys(self) -> set[str]:
        """Keys of the live states of all deployments that it has compiled."""
        passed = (each for tier in self._passthrough.values() for each in tier.deployments)
        return {each.key for each in (*self.deployments, *self.discovered, *self.fallback, *passed)}

    # -- compiling --------------------------------------------------------------------------------

    def _auto_by_path(self, usable: Iterable[Deployment]) -> dict[str, Tiers]:
        """What ``auto`` stands for, by endpoint. Endpoints with the same models share tiers."""
        usable = tuple(usable)
        kinds = {each.auto_paths for each in usable}  # few, as deployments that serve the same share theirs
        made: dict[frozenset[frozenset[str]], Tiers] = {}
        found = {}
        for path in PATHS:
            suited = frozenset(each for each in kinds if path in each)
            if suited not in made:
                candidates = tuple(each for each in usable if each.auto_paths in suited)
                made[suited] = auto_tiers(self.config.routing, candidates)
            found[path] = made[suited]
        return found

    def _fallback(self, wanted: Fallback | None) -> tuple[Deployment, ...]:
        provider = self.providers.get(wanted.provider) if wanted is not None and wanted.enabled else None
        if wanted is None or provider is None:
            return ()
        own = [deployment for deployment in self.deployments if deployment.provider is provider]
        found = [deployment for deployment in own if deployment.name == wanted.model]
        found = found or [deployment for deployment in own if deployment.upstream_model == wanted.model]
        found = found or [self._builder.build(site, wanted.model, wanted.model) for site in provider.sites]
        return tuple(filter(available, found))


class _Resolution(Struct):
    """Result of resolving a spec: tiers, and the names and deployments that are no candidates, by reason."""

    named: list[Tier] = []
    auto: Tiers = ()
    unknown: list[str] = []
    unserved: dict[str, list[Deployment]] = {}
    unavailable: list[Deployment] = []


def _skip_unavailable(plan: Plan, deployments: Sequence[Deployment]) -> None:
    for deployment in deployments:
        plan.skip((deployment,), "disabled" if deployment.site.address.present else "no_address")


def _succeeds(deployment: Deployment, least: float, now: float) -> bool:
    rate = deployment.live.statistics.success_rate(now)
    return rate is None or rate >= least
