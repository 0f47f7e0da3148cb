"""Strategies that choose one of several equal deployments, and the table of them by name.

A ``Tier`` is a group of equal deployments together with its strategy. Plans share tiers, so turns are kept here.
Scanning 1,000 deployments takes 0.1 to 0.2 ms. Only ``Smart`` would take longer, and draws samples first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate, groupby
from math import inf
from typing import Final

from proxy.config import schema
from proxy.pricing.rates import NANO
from proxy.pricing.rating import priced_at
from proxy.routing.affinity import RendezvousRing
from proxy.routing.context import SelectionContext
from proxy.routing.deployment import Deployment

# Least success rate that ``Smart`` assumes: a deployment that always failed keeps 1 % of its share, to be retried.
LEAST_RATE: Final = 0.01
_MOST_SAMPLES: Final = 64


class Tier:
    """Equal deployments to choose among. ``only`` is set if there is just one."""

    __slots__ = ("_ring", "_turn", "deployments", "only")

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        self.deployments = tuple(deployments)
        self.only = self.deployments[0] if len(self.deployments) == 1 else None
        self._turn = 0
        self._ring: RendezvousRing | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.deployments)}>"

    def choose(self, context: SelectionContext, now: float) -> Deployment | None:
        """A deployment that the context admits, or ``None``."""
        only = self.only
        if only is not None:  # the usual case
            return only if context.admits(only, now) else None
        if context.affinity:
            return self.ring().choose(context, now)
        return self.pick(context, now)

    def narrowed(self, condition: Callable[[Deployment], bool]) -> Tier | None:
        """A tier of the deployments that fulfill the condition: this one if all do, ``None`` if none does."""
        left = [deployment for deployment in self.deployments if condition(deployment)]
        if len(left) == len(self.deployments):
            return self
        return type(self)(left) if left else None

    def ring(self) -> RendezvousRing:
        """The hash ring for requests with an affinity, built at first use."""
        if self._ring is None:
            self._ring = RendezvousRing(self.deployments)
        return self._ring

    def pick(self, context: SelectionContext, now: float) -> Deployment | None:
        """Choose by the strategy."""
        raise NotImplementedError

    def score(self, deployment: Deployment, now: float) -> float | None:
        """The figure that the strategy compares, for ``x-router-decision``; ``None`` if it has none."""
        return None


class RoundRobin(Tier):
    """In turn."""

    __slots__ = ()

    def pick(self, context: SelectionContext, now: float) -> Deployment | None:
        deployments, turn = self.deployments, self._turn
        for place in range(turn, turn + len(deployments)):
            place %= len(deployments)
            if context.admits(deployments[place], now):
                self._turn = place + 1
                return deployments[place]
        return None


class WeightedRoundRobin(Tier):
    """In turn, in proportion to the weights, with the turns of each spread evenly.

    nginx's smooth weighted round robin: https://github.com/phusion/nginx/commit/27e94984486058d73157038f7950a0a36ecc6e35
    """

    __slots__ = ("_balances", "_weights")

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        super().__init__(deployments)
        self._weights = [_weight(deployment) for deployment in self.deployments]
        self._balances = [0.0] * len(self.deployments)

    def pick(self, context: SelectionContext, now: float) -> Deployment | None:
        balances, weights, total, best = self._balances, self._weights, 0.0, -1
        for place, deployment in enumerate(self.deployments):
            if context.admits(deployment, now):
                total += weights[place]
                balances[place] += weights[place]
                if best < 0 or balances[place] > balances[best]:
                    best = place
        if best < 0:
            return None
        balances[best] -= total
        return self.deployments[best]

    def score(self, deployment: Deployment, now: float) -> float | None:
        return deployment.weight


class Smart(Tier):
    """At random, in proportion to weight x success rate x latency factor.

    Rejection sampling: draw by weight, accept with ``quality`` as the probability. If no sample is accepted, all
    deployments are scanned. Both give the same distribution.
    """

    __slots__ = ("_sums",)

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        super().__init__(deployments)
        self._sums = list(accumulate(map(_weight, self.deployments)))

    def pick(self, context: SelectionContext, now: float) -> Deployment | None:
        random, deployments, sums = context.random.random, self.deployments, self._sums
        for _ in range(min(len(deployments), _MOST_SAMPLES)):
            deployment = deployments[bisect_right(sums, random() * sums[-1], hi=len(sums) - 1)]
            if context.admits(deployment, now) and random() < quality(deployment, now):
                return deployment
        admitted = [deployment for deployment in deployments if context.admits(deployment, now)]
        shares = [_weight(deployment) * quality(deployment, now) for deployment in admitted]
        return context.random.choices(admitted, shares)[0] if admitted else None

    def score(self, deployment: Deployment, now: float) -> float | None:
        return _weight(deployment) * quality(deployment, now)


class LeastConnections(Tier):
    """The fewest requests in flight; idle deployments in turn."""

    __slots__ = ()

    def pick(self, context: SelectionContext, now: float) -> Deployment | None:
        deployments, turn, best, least = self.deployments, self._turn, -1, inf
        for place in range(turn, turn + len(deployments)):
            place %= len(deployments)
            load = deployments[place].live.in_flight
            if load < least and context.admits(deployments[place], now):
                best, least = place, load
                if not load:
                    break
        if best < 0:
            return None
        self._turn = best + 1
        return deployments[best]

    def score(self, deployment: Deployment, now: float) -> float | None:
        return deployment.live.in_flight


class LowestLatency(Tier):
    """The lowest time to first token. Deployments of unknown latency come first, with one request at a time."""

    __slots__ = ()

    def pick(self, context: SelectionContext, now: float) -> Deployment | None:
        best, lowest = None, (True, inf)
        for deployment in self.deployments:
            in_flight = deployment.live.in_flight
            latency = known_latency(deployment, now)
            unexplored = latency is None and not in_flight
            # Known latencies first, then those that are being explored, the least busy first.
            rank = (latency is None, in_flight if latency is None else latency)
            if (unexplored or rank < lowest) and context.admits(deployment, now):
                if unexplored:
                    return deployment
                best, lowest = deployment, rank
        return best

    def score(self, deployment: Deployment, now: float) -> float | None:
        return known_latency(deployment, now)


class LowestCost(Tier):
    """The lowest price, in turn among equal prices; deployments without a price come last."""

    __slots__ = ("_groups", "_until")

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        super().__init__(deployments)
        self._groups: list[RoundRobin] = []
        self._until = -inf  # when the first price may change

    def choose(self, context: SelectionContext, now: float) -> Deployment | None:
        if now >= self._until:
            self._rank(now)
        for group in self._groups:
            found = group.choose(context, now)
            if found is not None:
                return found
        return None

    def score(self, deployment: Deployment, now: float) -> float | None:
        found = price(deployment, now)
        return None if found == inf else found / NANO

    def _rank(self, now: float) -> None:
        def price_now(deployment: Deployment) -> float:
            return price(deployment, now)

        ranked = sorted(self.deployments, key=price_now)
        self._groups = [RoundRobin(group) for _, group in groupby(ranked, price_now)]
        sheets = ((each.prices, each.epoch) for each in self.deployments)
        changes = (sheet.changes_at(epoch + now) - epoch for sheet, epoch in sheets if sheet is not None)
        self._until = min(changes, default=inf)


STRATEGIES: Final[dict[schema.Strategy, type[Tier]]] = {
    "smart": Smart,
    "round_robin": RoundRobin,
    "weighted_round_robin": WeightedRoundRobin,
    "least_connections": LeastConnections,
    "lowest_latency": LowestLatency,
    "lowest_cost": LowestCost,
}
NAMES: Final = {kind: name for name, kind in STRATEGIES.items()}


def quality(deployment: Deployment, now: float) -> float:
    """Success rate x latency factor, above 0 up to 1. Unknown figures count as the best, so that they are explored."""
    live = deployment.live
    rate = live.statistics.success_rate(now)
    # After a cooldown the rate is out of date, and a probe is due.
    if rate is None or live.breaker.state in ("open", "half_open"):
        rate = 1.0
    latency = live.statistics.latency
    return max(rate, LEAST_RATE) / (1.0 + (latency or 0.0))


def known_latency(deployment: Deployment, now: float) -> float | None:
    """Average seconds to the first token; ``None`` if there was none within the window."""
    statistics = deployment.live.statistics
    if statistics.latency is not None:
        statistics.success_rate(now)  # drops what is older than the window
    return statistics.latency


def price(deployment: Deployment, now: float) -> float:
    """Nano-USD for a million input tokens and a million output tokens; infinite if neither price is known."""
    rates = priced_at(deployment.prices, deployment.epoch + now)
    if rates is None or (rates.input is None and rates.output is None):
        return inf
    return (rates.input or 0) + (rates.output or 0)


def _weight(deployment: Deployment) -> float:
    """The weight within a tier. Weights of 0 stand in a tier of their own, where all are the same."""
    return deployment.weight or 1.0
