"""Health in responses. Times are Unix seconds; ``uptime`` and ``cpuSeconds`` are seconds, other durations milliseconds;
``null`` is not known."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from proxy.control.clock import milliseconds
from proxy.control.deployments.views import BreakerView
from proxy.control.health.components import ComponentHealth, ComponentStatus

UpDown = Literal["up", "down"]


class ComponentView(Struct, rename="camel"):
    """``degraded``: some of it works; ``down``: none of it."""

    status: ComponentStatus
    since: float
    latency_ms: float | None
    why: str | UnsetType = UNSET


class HealthView(Struct, omit_defaults=True):
    """``degraded``: something is not up that is not vital. ``uptime`` is in seconds. ``dependencies``: the status of
    each component by name. ``components``: more about those that are not up.
    """

    status: Literal["ok", "degraded", "down"]
    version: str
    uptime: float
    dependencies: dict[str, ComponentStatus]
    components: dict[str, ComponentView] | UnsetType = UNSET


class StatusView(Struct, omit_defaults=True):
    """``why``: what keeps the gateway from being ready."""

    status: Literal["alive", "ready", "not_ready", "stopping"]
    why: str = ""


class ProbeView(Struct, rename="camel"):
    """The last probe of one address of a provider; ``why`` it counts as down, else ``""``."""

    at: float
    status: UpDown
    latency_ms: float
    why: str


class BlockedView(Struct):
    """A deployment that gets no requests now, and why. ``until``: ``null`` if time alone does not change it."""

    id: str
    why: str
    until: float | None


class ProviderView(Struct, rename="camel"):
    """Up if any of its deployments is in service: its breaker admits requests, and a key is usable.

    ``admitting``: deployments that get requests now; ``blocked``: the first 20 others. ``latencyMs``: mean time to the
    first token. ``probes``: one for each address, if active probes are on.
    """

    status: UpDown
    since: float
    latency_ms: float | None
    deployments: int
    admitting: int
    blocked: list[BlockedView]
    probes: list[ProbeView]


class DetailedView(Struct):
    """Every component, and every provider."""

    status: Literal["ok", "degraded", "down"]
    version: str
    uptime: float
    components: dict[str, ComponentView]
    providers: dict[str, ProviderView]


class BreakerStatusView(Struct):
    """A deployment's breaker; ``id`` as in GET /admin/state."""

    id: str
    provider: str
    breaker: BreakerView


class BreakersView(Struct):
    """Every circuit breaker; ``counts`` by state."""

    counts: dict[str, int]
    breakers: list[BreakerStatusView]


class SystemView(Struct, rename="camel"):
    """``cpuPercent``: of one processor, since the last request for it. ``eventLoopLagMaxMs``: since the last scrape of
    the metrics."""

    version: str
    python: str
    uptime: float
    cpu_seconds: float
    cpu_percent: float | None
    memory_bytes: int | None
    open_files: int | None
    max_open_files: int | None
    event_loop_lag_ms: float
    event_loop_lag_max_ms: float


class ChangeView(Struct, frozen=True):
    """``what``: id of a deployment or name of a component; ``from`` and ``to``: its states."""

    at: float
    what: str
    from_: str = field(name="from")
    to: str = ""
    why: str = ""


class ChangesView(Struct):
    """Changes within the last hour, newest first, at most 1,000."""

    changes: list[ChangeView]


def component_view(component: ComponentHealth) -> ComponentView:
    return ComponentView(
        component.status, round(component.since, 3), milliseconds(component.latency), component.why or UNSET
    )
