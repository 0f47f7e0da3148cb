"""Requests with the same affinity go to the same deployment.

A deployment with more than its share of the requests in flight is passed over (bounded loads,
https://arxiv.org/abs/1608.01350).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.addresses.rendezvous import Rendezvous, key_hash, seed
from proxy.routing.context import SelectionContext
from proxy.routing.deployment import Deployment

# Requests in flight at one deployment, relative to the average, above which it is passed over.
MOST_LOAD: Final = 1.25


class RendezvousRing:
    """Deployments of one tier, by their keys and weights. A choice among 1,000 takes up to 0.2 ms."""

    __slots__ = ("_deployments", "_order")

    def __init__(self, deployments: Sequence[Deployment]) -> None:
        self._deployments = deployments
        seeds = [seed(each.key.encode("utf-8", "surrogatepass")) for each in deployments]
        self._order = Rendezvous(seeds, [each.weight or 1.0 for each in deployments])

    def choose(self, context: SelectionContext, now: float) -> Deployment | None:
        """The first admitted deployment in the order that is not overloaded, else the first admitted one."""
        bound, overloaded = 1.0, None
        for place in self._order.order(key_hash(context.affinity)):
            found = self._deployments[place]
            if not context.admits(found, now):
                continue
            in_flight = found.live.in_flight
            if in_flight > bound == 1.0:
                load = sum([each.live.in_flight for each in self._deployments])
                bound = MOST_LOAD * load / len(self._deployments) + 1.0
            if in_flight <= bound:
                return found
            overloaded = overloaded or found
        return overloaded
