"""Who answers soonest, among so many that sorting them for each request would take too long.

The ranking is a heap of latencies as they were when somebody looked. Whoever stands at its top is looked at again
before it is taken, and with each choice a few others are, in turn, so that those that became faster are found as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush

from proxy.routing.chooser import SMALL, Chooser
from proxy.routing.deployment import Deployment

_LOOKS_AHEAD = 16


class Ranking:
    """Deployments by latency; those of unknown latency stand in a queue of their own."""

    __slots__ = ("_deployments", "_known", "_next", "_seen", "_unknown")

    def __init__(self, deployments: Sequence[Deployment]) -> None:
        self._deployments = deployments
        self._seen: list[float | None] = [None] * len(deployments)
        self._unknown = deque(range(len(deployments)))
        self._known: list[tuple[float, int]] = []  # entries that differ from what was seen last are out of date
        self._next = 0

    def choose(self, chooser: Chooser, now: float) -> Deployment | None:
        """An idle one of unknown latency, else the fastest. ``None``: none was found soon, there may be one."""
        self._look_ahead(now)
        return self._unexplored(chooser, now) or self._fastest(chooser, now)

    def _look_ahead(self, now: float) -> None:
        for _ in range(_LOOKS_AHEAD):
            self._next = (self._next + 1) % len(self._deployments)
            if self._seen[self._next] is not None:
                self._look(self._next, now)

    def _look(self, place: int, now: float) -> bool:
        """Whether what was seen of one whose latency was known is still so; if not, it gets its new place."""
        statistics = self._deployments[place].live.statistics
        statistics.success_rate(now)  # whatever is told the time forgets what is too old
        latency, seen = statistics.latency, self._seen[place]
        if latency == seen:
            return True
        self._seen[place] = latency
        if latency is None:
            self._unknown.append(place)
        else:
            heappush(self._known, (latency, place))
        return False

    def _unexplored(self, chooser: Chooser, now: float) -> Deployment | None:
        unknown = self._unknown
        for _ in range(min(SMALL, len(unknown))):
            place = unknown.popleft()
            deployment = self._deployments[place]
            latency = deployment.live.statistics.latency
            if latency is not None:
                self._seen[place] = latency
                heappush(self._known, (latency, place))
                continue
            unknown.append(place)
            if not deployment.live.in_flight and chooser.admits(deployment, now):
                return deployment
        return None

    def _fastest(self, chooser: Chooser, now: float) -> Deployment | None:
        known, aside, found = self._known, [], None
        for _ in range(SMALL):
            while known and self._seen[known[0][1]] != known[0][0]:
                heappop(known)
            if not known:
                break
            entry = heappop(known)
            if not self._look(entry[1], now):
                continue
            aside.append(entry)
            deployment = self._deployments[entry[1]]
            if chooser.admits(deployment, now):
                found = deployment
                break
        for entry in aside:
            heappush(known, entry)
        if len(known) > 2 * len(self._deployments):
            current = {(latency, place) for place, latency in enumerate(self._seen) if latency is not None}
            known[:] = sorted(current)  # a sorted list is a heap
        return found
