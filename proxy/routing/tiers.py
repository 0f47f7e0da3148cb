"""Equal deployments as steps of a plan, by the strategy that the configuration gives them."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.config.schema import Routing, Strategy
from proxy.routing.deployment import Deployment
from proxy.routing.strategies import STRATEGIES, Step
from proxy.wire.call import AUTO

_NAMED: Strategy = "round_robin"
_AUTO: Strategy = "smart"

Steps = tuple[Step, ...]


def tiers_of(routing: Routing, name: str, equals: list[Deployment]) -> Steps:
    """The deployments that are meant by ``name``."""
    if not equals:
        return ()
    named = routing.strategies.get(name) or routing.strategies.get(equals[0].name) or routing.strategy or _NAMED
    return _split(named, equals)


def auto_tiers(routing: Routing, equals: Iterable[Deployment]) -> Steps:
    """The deployments that ``auto`` stands for."""
    return _split(routing.strategies.get(AUTO) or routing.strategy or _AUTO, equals)


def _split(strategy: Strategy, equals: Iterable[Deployment]) -> Steps:
    """Deployments of weight 0 follow the others: they are asked when nothing else is left."""
    kind = STRATEGIES[strategy]
    weighted: list[Deployment] = []
    weightless: list[Deployment] = []
    for deployment in equals:
        (weighted if deployment.weight else weightless).append(deployment)
    return tuple(kind(tier) for tier in (weighted, weightless) if tier)
