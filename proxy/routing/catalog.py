"""What can be asked for, compiled from the configuration: names to steps of deployments.

What a catalog holds never changes; a reload makes a new one, and an exchange keeps the one that it began with.
Whose turn it is, and what was compiled for which criteria, is remembered here; what is known of a deployment is
not (``routing/live.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.config.any_model import any_model
from proxy.config.left_out import LeftOutModel
from proxy.config.schema import Config, Fallback
from proxy.errors import GatewayError
from proxy.providers.provider import Provider
from proxy.routing import faults
from proxy.routing.access import ALL, Access, forbidden, forbidden_provider
from proxy.routing.building import DeploymentBuilder
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import OPAQUE, PATHS
from proxy.routing.listing import available
from proxy.routing.lists import ListsPending, ModelLists
from proxy.routing.live import Registry
from proxy.routing.model_pages import ModelPages
from proxy.routing.names import Names
from proxy.routing.narrowing import Narrowing
from proxy.routing.plan import Plan
from proxy.routing.selection import Selection, no_match, nothing_left
from proxy.routing.spec import Spec
from proxy.routing.strategies import RoundRobin, Step
from proxy.routing.tiers import Steps, auto_tiers
from proxy.wire.criteria import NONE, Criteria

if TYPE_CHECKING:
    from random import Random

__all__ = ["Catalog", "Deployment"]


class Catalog:
    """``plan`` proposes deployments; ``pages`` are what clients see of the models; ``fallback`` are the deployments of
    the configured one. ``lists`` are what providers list themselves; they outlive the catalog. ``left_out`` are models
    whose provider does not serve: a request that names one is told why.
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
    ) -> None:
        self.config = config
        self._lists = lists = lists or ModelLists()
        takers = any_model(config)
        self.providers = {
            name: Provider(
                name, settings, registry.provider(name, settings), version=version, open_=name in takers, via=via
            )
            for name, settings in config.providers.items()
        }
        self._builder = builder = DeploymentBuilder(config, registry)
        self.deployments = tuple(
            builder.configured(site, model)
            for model in config.models
            if model.provider in self.providers
            for site in self.providers[model.provider].sites
        )
        self._names = Names(config.routing, self.providers, self.deployments, builder, lists, left_out)
        self._any = {
            name: RoundRobin([builder.build(provider.sites[0], "", None)]) for name, provider in self.providers.items()
        }
        self._selection = Selection(self.deployments)
        self._serving = Narrowing(Deployment.serves)
        self._serving_auto = Narrowing(Deployment.serves_auto)
        self._allowed: Narrowing[Access] = Narrowing(lambda deployment, access: access.allows(deployment))
        usable = tuple(filter(available, self.deployments))
        self._auto = self._auto_by_path(usable)
        self._auto_at = {
            provider.name: auto_tiers(config.routing, (each for each in usable if each.provider is provider))
            for provider in self.providers.values()
        }
        self.affine = config.routing.affinity != "off"  # whether requests have a home at all
        if self.affine:
            for step in self._auto["chat/completions"]:
                step.homes()  # the largest: the first who asks shall not wait for it
        self.fallback = self._fallback(config.routing.fallback)
        last: Steps = (RoundRobin(self.fallback),) if self.fallback else ()
        self._last = {path: next(iter(self._serving.of(last, path)), None) for path in PATHS}
        # By path: the steps of names that were asked for before, and the fallback.
        self._ready: dict[str, tuple[dict[str, Steps], Step | None]] = {path: ({}, self._last[path]) for path in PATHS}
        self.pages = ModelPages(self.deployments, self._names, lists, created)

    # -- once per request -------------------------------------------------------------------------

    def ready_plan(self, name: str, endpoint: str, affinity: bytes, random: Random) -> Plan | None:
        """The usual plan, at little cost: what ``plan`` gives for one name, nothing else wished, and all access.

        ``None`` for a name that is not known, or that nobody asked for yet.
        """
        ready, last = self._ready[endpoint]
        steps = ready.get(name)
        return None if steps is None else Plan(steps, endpoint, affinity, random, last)

    def plan(self, spec: Spec, pinned: Provider | None, now: float, random: Random) -> Plan:
        """The candidates for what is asked, at nobody but the provider ``pinned`` if there is one.

        Raises ClientFault: 404 ``model_not_found`` if no name is known, 400 ``unsupported_endpoint`` if those that are
        do not serve the endpoint, 403 ``model_not_allowed`` if whoever asks may use none of them, 404
        ``no_model_matches`` if ``auto`` is asked for and the endpoint or the criteria leave nobody, 400
        ``model_required`` if ``auto`` has no models to choose from. Raises GatewayError: 503 ``no_provider`` if no
        provider is usable. Raises ListsPending if a name is unknown as long as the providers' own lists are, unless the
        spec has ``waited`` for them.
        """
        found = self._found(spec, pinned, now)
        if spec.auto:
            self._find_auto(found, spec.endpoint, pinned)
        if spec.access is not ALL:
            self._restrict(found, spec)
        if not (found.named or found.auto or found.unavailable):
            raise self._nothing(found, spec)
        last = self._last.get(spec.endpoint) if pinned is None else None
        if last is not None and spec.access is not ALL:
            last = next(iter(self._allowed.of((last,), spec.access)), None)
        plan = Plan((*found.named, *found.auto), spec.endpoint, spec.affinity, random, last, tuple(found.unknown))
        if found.unavailable:
            plan.pass_over(found.unavailable, "disabled")
        if spec.criteria is not NONE:
            self._narrow(plan, found, spec.criteria, now)
        return plan

    def opaque_plan(self, provider: Provider, access: Access, random: Random) -> Plan:
        """For requests without a model, on paths of one provider. Raises ClientFault (403)."""
        if not access.reaches(provider):
            raise forbidden_provider(provider.name)
        return Plan((self._any[provider.name],), OPAQUE.path, b"", random)

    def _found(self, spec: Spec, pinned: Provider | None, now: float) -> _Found:
        """What the names mean."""
        names, found = self._names, _Found()
        for name in dict.fromkeys(spec.names):
            steps = names.configured(name) if pinned is None else names.at(pinned, name)
            if steps:
                self._serve(found, name, steps, spec.endpoint, remember=pinned is None)
            elif unavailable := names.unavailable(name, pinned):
                found.unavailable += unavailable
            elif passing := (
                names.passing(name, now, waited=spec.waited) if pinned is None else names.passing_at(pinned, name)
            ):
                found.named += passing
            elif pinned is None and not spec.waited and (unsure := names.unsure(name, now)):
                raise ListsPending(unsure)
            else:
                found.unknown.append(name)
        return found

    def _serve(self, found: _Found, name: str, steps: Steps, endpoint: str, *, remember: bool) -> None:
        """Take those of a named model that serve the endpoint."""
        served = self._serving.of(steps, endpoint)
        found.named += served
        if not served:
            found.unserved[name] = [deployment for step in steps for deployment in step.deployments]
        elif remember and endpoint in self._ready:
            self._ready[endpoint][0][name] = served

    def _find_auto(self, found: _Found, endpoint: str, pinned: Provider | None) -> None:
        """What ``auto`` stands for; at a provider without models in the configuration: whatever it takes itself."""
        if pinned is None:
            meant: Sequence[Deployment] = self.deployments
            found.auto = self._auto.get(endpoint) or ()
        else:
            meant = [deployment for deployment in self.deployments if deployment.provider is pinned]
            at_home = self._serving_auto.of(self._auto_at[pinned.name], endpoint)
            found.auto = at_home if meant else (self._any[pinned.name],)
        if not found.auto:
            found.unavailable += [each for each in meant if not available(each) and each.serves_auto(endpoint)]

    def _restrict(self, found: _Found, spec: Spec) -> None:
        """Leave what the credential may use. Raises ClientFault (403) if it may use nothing of what there is."""
        access = spec.access
        some = found.named or found.auto or found.unavailable or found.unserved
        found.named = list(self._allowed.of(found.named, access))
        found.auto = self._allowed.of(found.auto, access)
        found.unavailable = list(filter(access.allows, found.unavailable))
        found.unserved = {name: each for name, each in found.unserved.items() if any(map(access.allows, each))}
        if some and not (found.named or found.auto or found.unavailable or found.unserved):
            raise forbidden(spec.names)

    def _nothing(self, found: _Found, spec: Spec) -> GatewayError:
        """Why there is no candidate."""
        if not self.providers:
            return faults.no_provider()
        for name, deployments in found.unserved.items():
            return faults.not_served(name, deployments, spec.endpoint)
        if not spec.auto:
            return self.pages.unknown(spec.names[0], spec.access)
        if self.deployments:
            return faults.auto_not_served(spec.endpoint)
        return faults.auto_unlisted() if self._names.open else faults.no_model()

    def _narrow(self, plan: Plan, found: _Found, criteria: Criteria, now: float) -> None:
        """Apply the criteria: to what ``auto`` stands for. Of a named model only the deployment is theirs to prefer."""
        named, auto = tuple(found.named), found.auto
        if criteria.prefer_fast:
            named = self._selection.of(named, Criteria(prefer_fast=True))
            plan.affinity = b""
        if auto:
            auto = self._selected(auto, criteria, now, required=not named)
            if criteria.min_success_rate:
                plan.rate = criteria.min_success_rate
                plan.named = frozenset(each for step in named for each in step.deployments)
        plan.steps = named + auto

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

    # -- what is told of the models ---------------------------------------------------------------

    @property
    def listing(self) -> bytes:
        """The body of GET models with all there are."""
        return self.pages.listed(ALL)

    def listed_models(self) -> list[tuple[str, str]]:
        """What providers list themselves: their names, and theirs for the models."""
        return [(provider.name, name) for provider, name, _ in self._names.listed()]

    def stale_lists(self, now: float) -> list[Provider]:
        """The providers whose own lists are worth waiting for before the models are told."""
        return self._lists.stale(self._names.open, now)

    # -- compiling --------------------------------------------------------------------------------

    def _auto_by_path(self, usable: Iterable[Deployment]) -> dict[str, Steps]:
        """What ``auto`` stands for at each endpoint. Endpoints with the same models share the steps."""
        made: dict[tuple[Deployment, ...], Steps] = {}
        found = {}
        for path in PATHS:
            meant = tuple(deployment for deployment in usable if deployment.serves_auto(path))
            if meant not in made:
                made[meant] = auto_tiers(self.config.routing, meant)
            found[path] = made[meant]
        return found

    def _fallback(self, wanted: Fallback | None) -> tuple[Deployment, ...]:
        provider = self.providers.get(wanted.provider) if wanted is not None and wanted.enabled else None
        if wanted is None or provider is None:
            return ()
        at_home = [deployment for deployment in self.deployments if deployment.provider is provider]
        found = [deployment for deployment in at_home if deployment.name == wanted.model]
        found = found or [deployment for deployment in at_home if deployment.upstream_model == wanted.model]
        if found:
            return tuple(filter(available, found))
        return tuple(self._builder.build(site, wanted.model, wanted.model) for site in provider.sites)


class _Found(Struct):
    """What a spec came to: steps, and names and deployments that are no candidates, by the reason."""

    named: list[Step] = []
    auto: Steps = ()
    unknown: list[str] = []
    unserved: dict[str, list[Deployment]] = {}
    unavailable: list[Deployment] = []


def _succeeds(deployment: Deployment, least: float, now: float) -> bool:
    rate = deployment.live.statistics.success_rate(now)
    return rate is None or rate >= least
