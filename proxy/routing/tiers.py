"""Grouping equal deployments into tiers, with the configured strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    return _split(named, equals, lambda deployment: deployment.tier)


def auto_tiers(routing: Routing, equals: Iterable[Deployment]) -> Tiers:
    """Tiers for deployments that ``auto`` stands for. The first has the best addresses of each model."""
    deployments = list(equals)
    found: dict[str, set[int]] = {}
    for each in deployments:
        found.setdefault(each.name, set()).add(each.tier)
    places = {name: {tier: place for place, tier in enumerate(sorted(tiers))} for name, tiers in found.items()}
    strategy = routing.strategies.get(AUTO) or routing.strategy or _AUTO
    return _split(strategy, deployments, lambda deployment: places[deployment.name][deployment.tier])


def _split(strategy: Strategy, equals: Iterable[Deployment], place_of: Callable[[Deployment], int]) -> Tiers:
    """Tiers by ``place_of``. Deployments of weight 0 come last: they are used if no other is available."""
    weighted: dict[int, list[Deployment]] = {}
    weightless: dict[int, list[Deployment]] = {}
    for deployment in equals:
        (weighted if deployment.weight else weightless).setdefault(place_of(deployment), []).append(deployment)
    return tuple(
        _kind(strategy, by_place[place])(by_place[place])
        for by_place in (weighted, weightless)
        for place in sorted(by_place)
    )


def _kind(strategy: Strategy, equals: list[Deployment]) -> type[Tier]:
    """Turns are weighted where the addresses of the deployments have different weights."""
    if strategy == "round_robin" and len({each.site.address.weight for each in equals}) > 1:
        strategy = "weighted_round_robin"
    return STRATEGIES[strategy]
