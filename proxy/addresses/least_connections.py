"""The fewest running requests."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from random import Random
from typing import Final

from proxy.addresses.live import LiveAddress
from proxy.addresses.strategy import AddressStrategy

_TURN: Final = attrgetter("turn")


class FewestRequests:
    """The lowest (running requests + 1) / weight, in turn among equals."""

    __slots__ = ("_costs", "_given", "_members", "_place", "_random", "_turn")

    def __init__(
        self, members: Sequence[LiveAddress], weights: Sequence[int], random: Random, before: AddressStrategy | None
    ) -> None:
        self._given, self._random = members, random
        equal = min(weights) == max(weights)
        self._members = sorted(members, key=_TURN)
        costs = {member: 1.0 / weight for member, weight in zip(members, weights, strict=True)}
        self._costs = [] if equal else [(member, costs[member]) for member in self._members]
        self._place = 0
        self._turn = self._members[-1].turn

    def pick(self, now: float) -> LiveAddress:
        loads: list[float]
        if self._costs:
            loads = [(member.in_flight + 1) * cost for member, cost in self._costs]
        else:
            loads = [member.in_flight for member in self._members]
        least, start = min(loads), self._place
        place = loads.index(least)
        if place < start and least in loads[start:]:
            place = loads.index(least, start)
        self._place = place + 1
        found = self._members[place]
        self._turn = found.turn = self._turn + 1
        return found

    def pick_among(self, places: Sequence[int], now: float) -> LiveAddress:
        """At random among equals: the one after an address that fails would get all its retries."""
        costs, random = dict(self._costs), self._random.random
        members = [self._given[place] for place in places]
        return min(members, key=lambda member: ((member.in_flight + 1) * costs.get(member, 1.0), random()))
