"""What the health pages tell. Times are Unix seconds; ``uptime`` and ``cpuSeconds`` are seconds, other durations
milliseconds; ``null`` is not known."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from proxy.control.deployments.views import BreakerView

BreakerSample = Literal["up", "down"]
ComponentStatus = Literal["up", "degraded", "down"]


class Component(Struct, frozen=True):
    """How something stands that the gateway leans on.

    ``since`` when, in Unix seconds; ``latency``: how long it last took, in seconds. ``vital``: without it no request
    is served. ``partly``: it is not up, and some of it can be used. ``why`` it is not up, where that is more than its
    name says: no address, no name of a deployment.
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


class ComponentView(Struct, rename="camel"):
    """``degraded``: some of it can be used; ``down``: nothing of it."""

    status: ComponentStatus
    since: float
    latency_ms: float | None
    why: str | UnsetType = UNSET


class HealthView(Struct, omit_defaults=True):
    """``degraded``: something is not up that the gateway can do without. ``components`` names only what is not up."""

    status: Literal["ok", "degraded", "down"]
    version: str
    components: dict[str, ComponentView] | UnsetType = UNSET


class StatusView(Struct, omit_defaults=True):
    """``why`` says what a gateway that is not ready lacks."""

    status: Literal["alive", "ready", "not_ready", "stopping"]
    why: str = ""


class ProbeView(Struct, rename="camel"):
    """What came of the last question to one address of a provider; ``why`` it counts as down, else ``""``."""

    at: float
    status: BreakerSample
    latency_ms: float
    why: str


class BlockedView(Struct):
    """A deployment that gets no request now, and why; ``until`` is ``null`` where time alone does not help."""

    id: str
    why: str
    until: float | None


class ProviderView(Struct, rename="camel"):
    """Up if any of its deployments is in service: neither its breaker nor a lack of keys turns requests away.

    ``admitting`` of them get requests now, the first 20 others are ``blocked``. ``latencyMs`` is the mean of their
    times to the first token; ``probes`` has one for each address, where active probes are on.
    """

    status: BreakerSample
    since: float
    latency_ms: float | None
    deployments: int
    admitting: int
    blocked: list[BlockedView]
    probes: list[ProbeView]


class DetailedView(Struct):
    """``components`` are all that there are, ``providers`` as one of them."""

    status: Literal["ok", "degraded", "down"]
    version: str
    uptime: float
    components: dict[str, ComponentView]
    providers: dict[str, ProviderView]


class StandingView(Struct):
    """A deployment's breaker; ``id`` is that of GET /admin/state."""

    id: str
    provider: str
    breaker: BreakerView


class BreakersView(Struct):
    """``counts`` by state; of deployments that clients' own names made, those that are known of."""

    counts: dict[str, int]
    breakers: list[StandingView]


class SystemView(Struct, rename="camel"):
    """``cpuPercent`` is of one processor since somebody last looked, ``eventLoopLagMaxMs`` the worst since the last
    scrape of the metrics."""

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
    """``what`` is a deployment's id or a component's name; ``from`` and ``to`` are its states."""

    at: float
    what: str
    from_: str = field(name="from")
    to: str = ""
    why: str = ""


class ChangesView(Struct):
    """Those of the last hour, newest first, and at most the last 1,000."""

    changes: list[ChangeView]


def component_view(component: Component) -> ComponentView:
    return ComponentView(component.status, round(component.since, 3), ms(component.latency), component.why or UNSET)


def ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
