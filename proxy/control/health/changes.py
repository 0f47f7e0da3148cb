"""What has changed within the last hour: breakers, and what the gateway leans on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from proxy.breakers.breaker import Breaker, State
from proxy.control.health.views import ChangeView, Component, ComponentStatus

KEPT_SECS: Final = 3600.0
MOST: Final = 1000

_WHY: Final = {
    "cooled": "its rest is over",
    "success": "it answered",
    "recovered": "it answered",
    "found": "it answered",
    "partly_found": "it answered",
    "partly_recovered": "it answered",
    "reload": "the configuration was loaded again",
    "reset": "operator",
}


class Changes:
    """``breaker`` and ``components`` are told; ``id_of`` names the deployment with a key, ``wall`` is Unix seconds.

    ``warn`` writes a line in the log when no request may go to a deployment any more.
    """

    def __init__(
        self,
        id_of: Callable[[str], str | None],
        wall: Callable[[], float],
        warn: Callable[..., None] | None = None,
    ) -> None:
        self._id_of = id_of
        self._warn = warn
        self._wall = wall
        self._kept: deque[ChangeView] = deque(maxlen=MOST)
        self._components: dict[str, Component] = {}

    def __repr__(self) -> str:
        return f"<Changes, {len(self._kept)} kept>"

    def breaker(self, breaker: Breaker, old: State, now: float) -> None:
        """What a registry calls at each change."""
        id_ = self._id_of(breaker.key)
        if id_ is not None:
            change = ChangeView(round(self._wall(), 3), id_, old, breaker.state, _why(breaker))
            self._kept.append(change)
            if self._warn is not None and breaker.state in ("open", "unavailable"):
                self._warn("No requests go to a deployment.", deployment=id_, state=change.to, why=change.why)

    def components(self, standing: Mapping[str, Component]) -> None:
        """How they stand now. What is new is no change; what turned twice since the last look is one."""
        for name, now in standing.items():
            before = self._components.get(name, now)
            if now.status != before.status:
                self._turned(name, before.status, now)
            elif now.since != before.since:
                self._turned(name, "down" if now.up else "up", now, "for less than a few seconds")
        self._components = dict(standing)

    def latest(self) -> list[ChangeView]:
        """Newest first."""
        oldest = self._wall() - KEPT_SECS
        return [change for change in reversed(self._kept) if change.at >= oldest]

    def _turned(self, name: str, before: ComponentStatus, now: Component, why: str = "") -> None:
        self._kept.append(ChangeView(round(now.since, 3), name, before, now.status, why))


def _why(breaker: Breaker) -> str:
    change = breaker.last
    if change is None:
        return breaker.reason
    why = f"no such model at {change.endpoint}" if change.event == "missing" else _WHY.get(change.event, breaker.reason)
    return f"{why}, told by another replica" if change.remote else why
