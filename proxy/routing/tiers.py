"""Grouping equal deployments into tiers, with the configured strategy."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.config.schema import Routing, Strategy
from proxy.dialects.call import AUTO
from proxy.routing.deployment import Deployment
from proxy.routing.strategies import STRATEGIES, Tier

_NAMED: Strategy = "round_robin"
_AUTO: Strategy = "smart"

Tiers = tuple[Tier, ...]


def tiers_of(routing: Routing, name: str, equals: list[Deployment]) -> Tiers:
    """Tiers for deployments that ``name`` stands for."""
    if not equals:
        return ()
    named = routing.strategies.get(name) or routing.strategies.get(equals[0].name) or routing.strategy or _NAMED
    return _split(named, equals)


def auto_tiers(routing: Routing, equals: Iterable[Deployment]) -> Tiers:
    """Tiers for deployments that ``auto`` stands for."""
    return _split(routing.strategies.get(AUTO) or routing.strategy or _AUTO, equals)


def _split(strategy: Strategy, equals: Iterable[Deployment]) -> Tiers:
    """Put deployments of weight 0 in a second tier: they are used if no other is available."""
    kind = STRATEGIES[strategy]
    weighted: list[Deployment] = []
    weightless: list[Deployment] = []
    for deployment in equals:
        (weighted if deployment.weight else weightless).append(deployment)
    return tuple(kind(tier) for tier in (weighted, weightless) if tier)
