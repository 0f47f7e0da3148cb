"""How one deployment is chosen among equals: a class per strategy, and the table of them by name.

An instance is one step of a plan: its deployments, what of them can be worked out in advance, and whose turn it is.
Plans share it. Small steps are scanned. Large ones (more than ``SMALL``) look at a few candidates only, in a way that
gives the same result, and fall back on the scan where nearly nobody of them may be asked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate, groupby
from math import inf

from msgspec import UNSET

from proxy.config import schema
from proxy.routing.affinity import RendezvousRing
from proxy.routing.chooser import SMALL, Chooser
from proxy.routing.deployment import Deployment
from proxy.routing.ranking import Ranking

# The share of a deployment whose every attempt failed lately, of what it would have: it is seen to be back.
LEAST_RATE = 0.01
_GOLDEN = 0.6180339887498949


class Step:
    """Deployments to choose among; ``only`` is the one where there are no others.

    ``score`` is what the strategy goes by, ``None`` where it goes by nothing.
    """

    __slots__ = ("_homes", "_turn", "deployments", "only")

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        self.deployments = tuple(deployments)
        self.only = self.deployments[0] if len(self.deployments) == 1 else None
        self._turn = 0
        self._homes: RendezvousRing | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.deployments)}>"

    def choose(self, chooser: Chooser, now: float) -> Deployment | None:
        """One that the chooser admits, ``None`` if there is none."""
        only = self.only
        if only is not None:  # the usual case
            return only if chooser.admits(only, now) else None
        if chooser.affinity:
            return self.homes().choose(chooser, now)
        return self.pick(chooser, now)

    def narrowed(self, holds: Callable[[Deployment], bool]) -> Step | None:
        """What is left where the condition holds: the step itself if that is all, ``None`` if it is nothing."""
        left = [deployment for deployment in self.deployments if holds(deployment)]
        if len(left) == len(self.deployments):
            return self
        return type(self)(left) if left else None

    def homes(self) -> RendezvousRing:
        """Who is at home where, made when first needed."""
        if self._homes is None:
            self._homes = RendezvousRing(self.deployments)
        return self._homes

    def pick(self, chooser: Chooser, now: float) -> Deployment | None:
        raise NotImplementedError

    def score(self, deployment: Deployment, now: float) -> float | None:
        return None


class RoundRobin(Step):
    """In turn."""

    __slots__ = ()

    def pick(self, chooser: Chooser, now: float) -> Deployment | None:
        deployments, turn = self.deployments, self._turn
        for place in range(turn, turn + len(deployments)):
            place %= len(deployments)
            if chooser.admits(deployments[place], now):
                self._turn = place + 1
                return deployments[place]
        return None


class Weighted(Step):
    """What has to do with weights: they are the same in a step where all are 0."""

    __slots__ = ("_sums", "_weights")

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        super().__init__(deployments)
        self._weights = [deployment.weight or 1.0 for deployment in self.deployments]
        self._sums = list(accumulate(self._weights)) if len(self.deployments) > SMALL else []

    def _at(self, part: float) -> Deployment:
        """Who stands at this part (0 to 1) of all weights in a row."""
        found = bisect_right(self._sums, part * self._sums[-1])
        return self.deployments[min(found, len(self.deployments) - 1)]


class WeightedRoundRobin(Weighted):
    """In turn, as often as the weights say, the turns of each as far apart as they can be.

    In small steps everyone has a purse and gains its weight; the richest is chosen and pays for all. Large ones follow
    the multiples of the golden ratio, which fill an interval evenly however many of them there are.
    """

    __slots__ = ("_part", "_purses")

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        super().__init__(deployments)
        self._purses = [0.0] * len(self.deployments)
        self._part = 0.5

    def pick(self, chooser: Chooser, now: float) -> Deployment | None:
        for _ in range(SMALL if self._sums else 0):
            self._part = (self._part + _GOLDEN) % 1.0
            deployment = self._at(self._part)
            if chooser.admits(deployment, now):
                return deployment
        purses, weights, total, richest = self._purses, self._weights, 0.0, -1
        for place, deployment in enumerate(self.deployments):
            if chooser.admits(deployment, now):
                total += weights[place]
                purses[place] += weights[place]
                if richest < 0 or purses[place] > purses[richest]:
                    richest = place
        if richest < 0:
            return None
        purses[richest] -= total
        return self.deployments[richest]

    def score(self, deployment: Deployment, now: float) -> float | None:
        return deployment.weight


class Smart(Weighted):
    """At random, in proportion to weight x success rate x latency factor.

    Large steps throw by weight alone, which is worked out in advance, and accept with the rest as the probability:
    that gives exactly the same shares. Where luck fails ``SMALL`` times, one of those thrown is taken.
    """

    __slots__ = ()

    def pick(self, chooser: Chooser, now: float) -> Deployment | None:
        random = chooser.random.random
        thrown: list[tuple[Deployment, float]] = []
        for _ in range(SMALL if self._sums else 0):
            deployment = self._at(random())
            if chooser.admits(deployment, now):
                share = merit(deployment, now)
                if random() < share:
                    return deployment
                thrown.append((deployment, share))
        if not thrown:
            thrown = [
                (deployment, weight * merit(deployment, now))
                for deployment, weight in zip(self.deployments, self._weights, strict=True)
                if chooser.admits(deployment, now)
            ]
        return _drawn(thrown, random()) if thrown else None

    def score(self, deployment: Deployment, now: float) -> float | None:
        return (deployment.weight or 1.0) * merit(deployment, now)


class LeastConnections(Step):
    """The fewest requests in flight; in turn among the idle. Of a large step, the best of the next ``SMALL``."""

    __slots__ = ()

    def pick(self, chooser: Chooser, now: float) -> Deployment | None:
        deployments, turn, best, least = self.deployments, self._turn, -1, inf
        for looked, place in enumerate(range(turn, turn + len(deployments))):
            if looked >= SMALL and best >= 0:
                break
            place %= len(deployments)
            load = deployments[place].live.in_flight
            if load < least and chooser.admits(deployments[place], now):
                best, least = place, load
                if not load:
                    break
        if best < 0:
            return None
        self._turn = best + 1
        return deployments[best]

    def score(self, deployment: Deployment, now: float) -> float | None:
        return deployment.live.in_flight


class LowestLatency(Step):
    """The soonest first token. One of which it is not known is asked first, by one request at a time."""

    __slots__ = ("_ranking",)

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        super().__init__(deployments)
        self._ranking = Ranking(self.deployments) if len(self.deployments) > SMALL else None

    def pick(self, chooser: Chooser, now: float) -> Deployment | None:
        found = None if self._ranking is None else self._ranking.choose(chooser, now)
        return found or self._scan(chooser, now)

    def _scan(self, chooser: Chooser, now: float) -> Deployment | None:
        best, soonest = None, (True, inf)
        for deployment in self.deployments:
            live = deployment.live
            latency = known_latency(deployment, now)
            unexplored = latency is None and not live.in_flight
            # The known by their latency; then the unknown that are being explored already, the least busy first.
            rank = (latency is None, live.in_flight if latency is None else latency)
            if (unexplored or rank < soonest) and chooser.admits(deployment, now):
                if unexplored:
                    return deployment
                best, soonest = deployment, rank
        return best

    def score(self, deployment: Deployment, now: float) -> float | None:
        return known_latency(deployment, now)


class LowestCost(Step):
    """The lowest price, in turn among those of the same; those without a price come last."""

    __slots__ = ("_groups",)

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        super().__init__(deployments)
        ranked = sorted(self.deployments, key=price)
        self._groups = [RoundRobin(group) for _, group in groupby(ranked, price)]

    def choose(self, chooser: Chooser, now: float) -> Deployment | None:
        for group in self._groups:
            found = group.choose(chooser, now)
            if found is not None:
                return found
        return None

    def score(self, deployment: Deployment, now: float) -> float | None:
        found = price(deployment)
        return None if found == inf else found


STRATEGIES: dict[schema.Strategy, type[Step]] = {
    "smart": Smart,
    "round_robin": RoundRobin,
    "weighted_round_robin": WeightedRoundRobin,
    "least_connections": LeastConnections,
    "lowest_latency": LowestLatency,
    "lowest_cost": LowestCost,
}
NAMES = {kind: name for name, kind in STRATEGIES.items()}


def merit(deployment: Deployment, now: float) -> float:
    """Success rate x latency factor, above 0 up to 1. Unknown counts as the best, so that it gets known."""
    live = deployment.live
    rate = live.statistics.success_rate(now)
    # When the cooldown is over the rate tells of the time before it: a probe is due, whatever it says.
    if rate is None or live.breaker.state in ("open", "half_open"):
        rate = 1.0
    latency = live.statistics.latency
    return max(rate, LEAST_RATE) / (1.0 + (latency or 0.0))


def known_latency(deployment: Deployment, now: float) -> float | None:
    """Seconds to the first token; ``None`` if none came lately."""
    statistics = deployment.live.statistics
    if statistics.latency is not None:
        statistics.success_rate(now)  # whatever is told the time forgets what is too old
    return statistics.latency


def price(deployment: Deployment) -> float:
    """USD for a million tokens in and a million out; infinite where neither price is known."""
    model = deployment.model
    if model is None or (model.input_price is UNSET and model.output_price is UNSET):
        return inf
    prices = (model.input_price, model.output_price)
    return sum(each for each in prices if each is not UNSET)


def _drawn(weighted: list[tuple[Deployment, float]], part: float) -> Deployment:
    """One of them, with its weight as its share of all; ``part`` is a random number from 0 to 1."""
    sums = list(accumulate(weight for _, weight in weighted))
    return weighted[min(bisect_right(sums, part * sums[-1]), len(sums) - 1)][0]
