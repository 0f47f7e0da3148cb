"""Checks of services and routes whose fields are valid one by one, and of their relation to other sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from proxy.config.complaint import Complaint
from proxy.config.discovery_checks import dns_settings_mistakes, dns_source_mistakes
from proxy.config.limit_schema import Limits
from proxy.config.mistakes import near, quoted
from proxy.config.own_paths import OwnPaths
from proxy.config.service_checks import SESSION_COOKIE, is_token, literal_path, parameters
from proxy.config.service_schema import DnsSettings, DnsSource, RouteSettings, ServiceSettings, Stickiness

if TYPE_CHECKING:
    from proxy.config.schema import Config

_TARGET: Final = ("service", "split")
_PLACE: Final = ("host", "path", "pattern")
_REWRITE: Final = ("path", "pattern", "strip", "rewrite")


def between_routes(config: Config) -> Iterator[Complaint]:
    """Complaints about routes and other sections; keys are whole paths."""
    own = OwnPaths(config.server.base_path)
    for number, route in enumerate(config.routes):
        place = f"routes[{number}]"
        if text := own_path(route, own):
            key, _, text = text.partition(": ")
            yield Complaint(f"{place}.{key}", text, ("server.basePath", f"{place}.{key}"))
        if text := unusable_scopes(route, config.auth.mode):
            key, _, text = text.partition(": ")
            yield Complaint(f"{place}.{key}", text, ("auth", f"{place}.{key}"))
    for name, many in Counter(each.id for each in config.routes if each.id).items():
        if many > 1:
            yield Complaint("routes", f"{many} routes have the id {quoted(name)}")


def registration_without_port(config: Config) -> Iterator[Complaint]:
    """A unix socket has no port that Consul could be given."""
    register = config.discovery.consul.register
    if register.enabled and config.server.unix_socket and not register.port:
        key = "discovery.consul.register.port"
        yield Complaint(key, "is missing: server.unixSocket has none", (key, "server.unixSocket"))


def unusable_scopes(route: RouteSettings, auth_mode: str) -> str:
    """``key: text`` of a route with scopes that no client can have; ``""``: there is nothing wrong."""
    return "scopes: need authentication: set auth.mode" if route.scopes and auth_mode == "none" else ""


def unknown_services(config: Config) -> Iterator[Complaint]:
    """Notices about services that are not in the file: the admin API or Consul may define them later."""
    for number, route in enumerate(config.routes):
        for name in (*((route.service,) if route.service else ()), *route.split):
            if name not in config.services:
                hint = near(name, config.services)
                text = (
                    f"no service {quoted(name)} in the file: requests get a 503 until it is defined at run time{hint}"
                )
                yield Complaint(f"routes[{number}].{'split' if route.split else 'service'}", text)


def own_path(route: RouteSettings, own: OwnPaths) -> str:
    """``key: text`` of a route whose path is the gateway's own; ``""``: it is not.

    A route for more than that, such as ``/``, is fine: the gateway's own paths go before.
    """
    path = literal_path(route.pattern) if route.pattern else route.path
    if not (shadowed := own.shadowed(path)):
        if not route.pattern and own.owns(below := f"{path.rstrip('/')}/"):
            text = f"what is below {below} is the gateway's own, which no route can take"
            return f"path: {text}. Use pattern: {path} for this path alone"
        return ""
    key, text = ("pattern", route.pattern) if route.pattern else ("path", route.path)
    where = "" if shadowed == path else f"below {shadowed}, "
    return f"{key}: {text} is {where}the gateway's own path, which no route can take"


def _plain_url(url: str) -> str:
    """``url`` with its scheme and host in lower case (RFC 3986 6.2.2.1)."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{authority.lower()}{slash}{path}"


def _service(service: ServiceSettings) -> Iterator[Complaint]:
    for url, many in Counter(_plain_url(each.url) for each in service.addresses).items():
        if many > 1:
            yield Complaint("addresses", f"{many} have the URL {url}")
        if "?" in url:
            yield Complaint("addresses", f"{url} must not have a query: that of each request goes there")
    if service.timeouts.first_content is not UNSET:
        text = "has no effect: only answers of models have a first content; use headers"
        yield Complaint("timeouts.firstContent", text, ("timeouts",))


def _sticky(sticky: Stickiness) -> Iterator[Complaint]:
    reads = ("cookie", "header")
    if not sticky.cookie and not sticky.header:
        yield Complaint("", "needs cookie or header: the name of the one that decides", reads)
    elif sticky.cookie and sticky.header:
        yield Complaint("header", "cannot be used together with cookie: remove one of them", reads)
    for key, name in (("cookie", sticky.cookie), ("header", sticky.header)):
        if name and not is_token(name):
            yield Complaint(key, f"is not a valid {key} name", (key,))
    if sticky.cookie == SESSION_COOKIE:
        yield Complaint("cookie", f"{SESSION_COOKIE} is the session cookie of the dashboard", ("cookie",))


def _dns_source(source: DnsSource) -> Iterator[Complaint]:
    for key, text in dns_source_mistakes(source):
        yield Complaint(key, text, ("srv", "host", "port"))


def _dns_settings(settings: DnsSettings) -> Iterator[Complaint]:
    for key, text in dns_settings_mistakes(settings):
        yield Complaint(key, text, ("servers", "leastSecs", "mostSecs"))


def _route(route: RouteSettings) -> Iterator[Complaint]:
    if not route.service and not route.split:
        yield Complaint("service", "is missing: a route leads to a service, or to those of split", _TARGET)
    elif route.service and route.split:
        yield Complaint("split", "cannot be used together with service: remove one of them", _TARGET)
    if not (route.path or route.pattern or route.host):
        yield Complaint("path", "is missing: a route needs path, pattern or host", _PLACE)
    elif route.path and route.pattern:
        yield Complaint("pattern", "cannot be used together with path: remove one of them", _PLACE)
    yield from _rewriting(route)
    if route.public and route.scopes:
        yield Complaint("scopes", "cannot be used together with public, which needs no credential", ("public",))
    if route.limits is not None and route.limits.enabled:
        yield from (Complaint("limits", text, ("limits",)) for text in _limits(route.limits))


def _rewriting(route: RouteSettings) -> Iterator[Complaint]:
    if route.strip and route.pattern:
        yield Complaint("strip", "removes the prefix of path; with pattern, use rewrite", _REWRITE)
    elif route.strip and route.rewrite:
        yield Complaint("rewrite", "cannot be used together with strip: remove one of them", _REWRITE)
    elif route.strip and not route.path:
        yield Complaint("strip", "has no effect: there is no path", _REWRITE)
    known = parameters(route.pattern)
    for name in parameters(route.rewrite):
        if name not in known:
            has = f"pattern has {', '.join(known)}" if known else "only a pattern has parameters"
            yield Complaint("rewrite", f"there is no parameter {quoted(name)}: {has}", _REWRITE)


def _limits(limits: Limits) -> Iterator[str]:
    if limits.tokens_per_minute is not UNSET:
        yield "tokensPerMinute has no effect: only calls to models use tokens"
    elif limits.requests_per_minute is UNSET and limits.requests_per_hour is UNSET and limits.concurrent is UNSET:
        yield "has no limits: set requestsPerMinute, requestsPerHour or concurrent, or enabled: false"
    elif limits.burst_size is not UNSET and limits.requests_per_minute is UNSET and limits.requests_per_hour is UNSET:
        yield "burstSize needs requestsPerMinute or requestsPerHour"


SERVICE_CHECKS: Final[Mapping[type, Callable[[Any], Iterable[Complaint]]]] = {
    ServiceSettings: _service,
    Stickiness: _sticky,
    DnsSource: _dns_source,
    DnsSettings: _dns_settings,
    RouteSettings: _route,
}
