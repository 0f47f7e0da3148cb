"""Services and their addresses in responses. Times are Unix seconds, durations milliseconds, ``null`` is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from proxy.addresses.live import LiveAddress
from proxy.control.clock import WallClock, milliseconds
from proxy.control.deployments.views import BreakerView, breaker_view
from proxy.services.discovery.base import SourceState
from proxy.services.live_service import LiveService
from proxy.services.specs import plain
from proxy.services.table.route import Definer

Health = Literal["up", "degraded", "down", "empty"]


class AddressView(Struct, rename="camel"):
    """An address with its live state in this process.

    ``weight``: that is in force. ``source``: ``settings`` of the service, or where it was found. ``usable``: it gets
    new requests. ``healthy``: what checks say; ``null``: nothing. ``drained``: an operator wants no new requests there.
    ``requests`` and ``failures``: since it joined. ``latencyMs``: to the head of an answer, a moving average.
    """

    url: str
    weight: float
    priority: int
    region: str
    source: str
    usable: bool
    healthy: bool | None
    drained: bool
    breaker: BreakerView
    in_flight: int
    requests: int
    failures: int
    latency_ms: float | None


class SourceView(Struct, rename="camel"):
    """Where addresses are found. ``at``: when it answered last. ``error``: why it does not, or what is wrong."""

    up: bool
    at: float | None
    error: str
    addresses: int


class ServiceView(Struct, rename="camel"):
    """A service: its settings, and what is in force.

    ``url``: of its first address. ``weight``: in force. ``source``: where it is defined; ``file`` is the
    configuration. ``version``: for ``If-Match``. ``settings``: those that differ from their defaults, as PUT takes.
    ``health``: ``up``: all addresses are usable; ``degraded``: some; ``down``: none; ``empty``: there are none.
    ``override``: weights and drained marks that were set at run time. ``sources``: of addresses, by technology.
    ``routes``: ids of those that lead to it.
    """

    name: str
    url: str | None
    weight: float
    source: Definer
    version: int
    health: Health
    settings: dict[str, Any]
    override: Mapping[str, Any]
    addresses: list[AddressView]
    sources: dict[str, SourceView]
    routes: list[str]
    notice: str | UnsetType = UNSET


class RoutingStoreView(Struct, rename="camel"):
    """Where services and routes of the API are kept.

    ``durable``: they survive this process, and other replicas get them. ``version``: in force here. ``error``: why it
    may be old; ``""``: it is not.
    """

    kind: Literal["database", "consul", "memory"]
    durable: bool
    version: int
    error: str


class MistakeView(Struct):
    """An entry of the store that is wrong, and has no effect."""

    kind: str
    name: str
    mistakes: list[str]


class ServiceList(Struct):
    """A page in the form of OpenAI's lists; ``last_id`` is the ``after`` of the next page. ``total``: of all pages."""

    data: list[ServiceView]
    last_id: str | None
    has_more: bool
    total: int
    store: RoutingStoreView
    mistakes: list[MistakeView]
    notice: str | UnsetType = UNSET
    object: Literal["list"] = "list"


class AddressList(Struct):
    """The addresses of a service."""

    data: list[AddressView]
    version: int
    notice: str | UnsetType = UNSET
    object: Literal["list"] = "list"


class WeightView(Struct):
    """The weights of a service and of its addresses, by URL, that are in force. ``known``: the service is defined;
    else they are kept until it is."""

    name: str
    weight: float
    addresses: dict[str, float]
    known: bool
    version: int
    notice: str | UnsetType = UNSET


def address_view(address: LiveAddress, source: str, clock: WallClock) -> AddressView:
    settings = address.settings
    return AddressView(
        url=address.url,
        weight=settings.weight,
        priority=settings.priority,
        region=settings.region,
        source=source,
        usable=address.usable(clock.now()) and settings.weight > 0,
        healthy=address.healthy,
        drained=address.drained,
        breaker=breaker_view(address.breaker, clock),
        in_flight=address.in_flight,
        requests=address.requests,
        failures=address.failures,
        latency_ms=milliseconds(address.latency) if address.requests else None,
    )


def service_view(
    service: LiveService,
    *,
    version: int,
    override: Mapping[str, Any],
    addresses: Sequence[AddressView],
    sources: Mapping[str, SourceState],
    routes: Iterable[str],
    notice: str,
) -> ServiceView:
    """``sources``: by technology. An empty ``notice`` is left out."""
    return ServiceView(
        name=service.name,
        url=addresses[0].url if addresses else None,
        weight=service.weight,
        source=service.definer,
        version=version,
        health=health_of(addresses),
        settings=plain(service.settings, lambda secret: secret.shown),
        override=override,
        addresses=list(addresses),
        sources={name: _source_view(name, state, addresses) for name, state in sources.items()},
        routes=sorted(routes),
        notice=notice or UNSET,
    )


def health_of(addresses: Sequence[AddressView]) -> Health:
    usable = sum(each.usable for each in addresses)
    if not addresses:
        return "empty"
    return "up" if usable == len(addresses) else "degraded" if usable else "down"


def _source_view(name: str, state: SourceState, addresses: Sequence[AddressView]) -> SourceView:
    count = sum(each.source == name for each in addresses)
    return SourceView(state.up, state.at or None, state.error, count)
