"""Routes, and changes of routes and services, in responses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from proxy.config.secret import MASKED
from proxy.services.entries import Kind
from proxy.services.specs import plain
from proxy.services.store.base import RoutingChange
from proxy.services.table.route import Definer, ServiceRoute

_RULES: Final = ("requestHeaders", "responseHeaders")


class RouteView(Struct, rename="camel"):
    """A route. ``source``: where it is defined; ``file`` is the configuration. ``version``: for ``If-Match``.

    ``settings``: those that differ from their defaults, as PUT takes them; values of headers are masked.
    ``services``: those that it leads to, with their weights. ``missing``: those of them that are not defined.
    """

    id: str
    host: str
    path: str
    pattern: str
    methods: list[str]
    service: str
    services: dict[str, float]
    missing: list[str]
    source: Definer
    version: int
    settings: dict[str, Any]
    notice: str | UnsetType = UNSET


class RouteList(Struct):
    """A page in the form of OpenAI's lists; ``last_id`` is the ``after`` of the next page. ``total``: of all pages."""

    data: list[RouteView]
    last_id: str | None
    has_more: bool
    total: int
    notice: str | UnsetType = UNSET
    object: Literal["list"] = "list"


class RoutingChangeView(Struct):
    """A change of a service, a route, or an override of weights and drained marks.

    ``before`` ``null``: it was made; ``after`` ``null``: it was deleted. ``by``: who did it, and from which address.
    """

    version: int
    kind: Kind
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    at: str
    by: str


class RoutingChangeList(Struct):
    """A page of changes, the last first; ``last_id`` is the ``after`` of the next page."""

    data: list[RoutingChangeView]
    last_id: int | None
    has_more: bool
    object: Literal["list"] = "list"


def route_view(route: ServiceRoute, version: int, known: Mapping[str, object], notice: str) -> RouteView:
    """``known``: services by name. An empty ``notice`` is left out."""
    settings = route.settings
    services = dict(route.services)
    return RouteView(
        id=route.id,
        host=settings.host,
        path=settings.path,
        pattern=settings.pattern,
        methods=list(settings.methods),
        service=settings.service,
        services=services,
        missing=[name for name in services if name not in known],
        source=route.definer,
        version=version,
        settings={name: each for name, each in plain(settings, lambda secret: secret.shown).items() if name != "id"},
        notice=notice or UNSET,
    )


def change_view(change: RoutingChange) -> RoutingChangeView:
    at = datetime.fromtimestamp(change.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    before, after = masked(change.before), masked(change.after)
    return RoutingChangeView(change.version, change.kind, change.name, before, after, at, change.by)


def masked(body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A stored body without values of headers, whether or not this version understands it."""
    if body is None:
        return None
    found = dict(body)
    if isinstance(headers := found.get("headers"), dict):
        found["headers"] = dict.fromkeys(headers, MASKED)
    for rules in _RULES:
        if isinstance(listed := found.get(rules), dict):
            found[rules] = {name: _without_values(each) for name, each in listed.items()}
    return found


def _without_values(lines: Any) -> Any:
    return dict.fromkeys(lines, MASKED) if isinstance(lines, dict) else lines
