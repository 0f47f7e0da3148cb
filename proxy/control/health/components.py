"""Components: what the gateway depends on, from its providers to its database."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

ComponentStatus = Literal["up", "degraded", "down"]


class ComponentState(Protocol):
    """The connection to something over a network. ``since`` is in Unix seconds, ``latency`` in seconds."""

    @property
    def up(self) -> bool: ...
    @property
    def since(self) -> float: ...
    @property
    def latency(self) -> float | None: ...


class Stateful(Protocol):
    """A part that may be up or down; ``state`` is ``None`` while it is not used."""

    @property
    def state(self) -> ComponentState | None: ...


class ComponentHealth(Struct, frozen=True):
    """The health of a component.

    ``since``: when it changed, in Unix seconds. ``latency``: of its last response, in seconds. ``vital``: without it
    no request is served. ``partly``: it is not up, but some of it works. ``why`` it is not up, if the name does not
    say so; it contains neither addresses nor names of deployments.
    """

    up: bool
    since: float
    latency: float | None = None
    vital: bool = False
    why: str = ""
    partly: bool = False

    @property
    def status(self) -> ComponentStatus:
        return "up" if self.up else "degraded" if self.partly else "down"


def states_of(**parts: Stateful | None) -> dict[str, ComponentState]:
    """The state of each part that is reached over a network and in use, by name."""
    found = {name: part.state for name, part in parts.items() if part is not None}
    return {name: state for name, state in found.items() if state is not None}
