"""A log of state changes within the last hour: of breakers, and of components."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from proxy.breakers.breaker import Breaker, State
from proxy.control.health.components import ComponentHealth, ComponentStatus
from proxy.control.health.views import ChangeView

MAX_AGE_SECS: Final = 3600.0
MAX_CHANGES: Final = 1000

_WHY: Final = {
    "cooled": "its cooldown is over",
    "success": "it answered",
    "recovered": "it answered",
    "found": "it answered",
    "partly_found": "it answered",
    "partly_recovered": "it answered",
    "reload": "the configuration was loaded again",
    "reset": "operator",
}


class ChangeLog:
    """``id_of`` returns the id of the deployment with a key; ``wall`` is the time in Unix seconds.

    ``warn`` logs breakers that stop all requests to a deployment.
    """

    def __init__(
        self, id_of: Callable[[str], str | None], wall: Callable[[], float], warn: Callable[..., None]
    ) -> None:
        self._id_of = id_of
        self._warn = warn
        self._wall = wall
        self._changes: deque[ChangeView] = deque(maxlen=MAX_CHANGES)
        self._components: dict[str, ComponentHealth] = {}

    def __repr__(self) -> str:
        return f"<ChangeLog of {len(self._changes)} changes>"

    def breaker(self, breaker: Breaker, old: State, now: float) -> None:
        """Add a change of a breaker."""
        id_ = self._id_of(breaker.key)
        if id_ is not None:
            change = ChangeView(round(self._wall(), 3), id_, old, breaker.state, _why(breaker))
            self._changes.append(change)
            if breaker.state in ("open", "unavailable"):
                self._warn("No requests go to a deployment.", deployment=id_, state=change.to, why=change.why)

    def components(self, components: Mapping[str, ComponentHealth]) -> None:
        """Add what changed since the last call. Two changes in between are one; new components are none."""
        for name, now in components.items():
            before = self._components.get(name, now)
            if now.status != before.status:
                self._add(name, before.status, now)
            elif now.since != before.since:
                self._add(name, "down" if now.up else "up", now, "for less than a few seconds")
        self._components = dict(components)

    def latest(self) -> list[ChangeView]:
        """Newest first."""
        oldest = self._wall() - MAX_AGE_SECS
        return [change for change in reversed(self._changes) if change.at >= oldest]

    def _add(self, name: str, before: ComponentStatus, now: ComponentHealth, why: str = "") -> None:
        self._changes.append(ChangeView(round(now.since, 3), name, before, now.status, why))


def _why(breaker: Breaker) -> str:
    change = breaker.last
    if change is None:
        return breaker.reason
    why = f"no such model at {change.endpoint}" if change.event == "missing" else _WHY.get(change.event, breaker.reason)
    return f"{why}, reported by another replica" if change.remote else why
