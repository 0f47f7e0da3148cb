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
