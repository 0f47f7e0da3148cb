"""The health of a service in responses. Times are Unix seconds, durations milliseconds, ``null`` is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from proxy.control.clock import milliseconds
from proxy.control.deployments.views import BreakerView
from proxy.control.services.views import AddressView, Health, health_of
from proxy.services.health.history import AddressHealth, HealthChange
from proxy.services.live_service import LiveService
from proxy.services.specs import plain


class HealthChangeView(Struct):
    """``healthy`` ``null``: no longer known. ``why``: the check that failed."""

    at: float
    healthy: bool | None
    why: str


class AddressHealthView(Struct, rename="camel"):
    """``healthy``: what checks say. ``checkedAt``: of the last one, and ``tookMs`` of one by this process. ``why`` it
    failed; ``""``: it passed. ``changes``: the last ones, newest first."""

    url: str
    usable: bool
    healthy: bool | None
    drained: bool
    breaker: BreakerView
    checked_at: float | None
    took_ms: float | None
    why: str
    changes: list[HealthChangeView]


class ServiceHealthView(Struct):
    """``health``: ``up``: all addresses are usable; ``degraded``: some; ``down``: none; ``empty``: there are none.
    ``checks``: how they are checked; ``null``: they are not."""

    name: str
    health: Health
    checks: dict[str, Any] | None
    addresses: list[AddressHealthView]


def health_view(
    service: LiveService, addresses: Sequence[AddressView], checked: Sequence[AddressHealth]
) -> ServiceHealthView:
    settings, by_url = service.settings.health, {each.url: each for each in checked}
    views = [_address(each, by_url.get(each.url)) for each in addresses]
    return ServiceHealthView(service.name, health_of(addresses), plain(settings) if settings.path else None, views)


def _address(address: AddressView, checked: AddressHealth | None) -> AddressHealthView:
    changes: Sequence[HealthChange] = () if checked is None else checked.changes
    return AddressHealthView(
        url=address.url,
        usable=address.usable,
        healthy=address.healthy,
        drained=address.drained,
        breaker=address.breaker,
        checked_at=None if checked is None else checked.checked_at,
        took_ms=None if checked is None else milliseconds(checked.seconds),
        why="" if checked is None else checked.why,
        changes=[HealthChangeView(each.at, each.healthy, each.why) for each in changes],
    )
