"""The Python client of the admin API of services and routes. It needs only the standard library.

    from proxy.services.client import RouterService, ServiceDiscovery

``RouterService`` changes services and routes, ``ServiceDiscovery`` registers addresses and finds them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from proxy.services.admin_calls import AdminCalls, RoutedResponse
from proxy.services.admin_calls import RouterError as RouterError

View = dict[str, Any]
"""A JSON object of the admin API: see /docs of the gateway."""


class RouterService:
    """Services and routes of a gateway.

    ``url`` and ``token``: by default SLUICE_URL and SLUICE_ADMIN_TOKEN. ``api_key``: of ``route_request``, by default
    SLUICE_API_KEY. ``timeout``: seconds. All methods raise RouterError. Settings may be named in snake_case.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, api_key: str | None = None, timeout: float = 10.0
    ) -> None:
        self._calls = AdminCalls(url, token, timeout)
        self._api_key = api_key or os.environ.get("SLUICE_API_KEY", "")

    def __repr__(self) -> str:
        return f"<RouterService {self._calls.url}>"

    # -- services -------------------------------------------------------------------------------------

    def add_service(
        self,
        name: str,
        url: str | None = None,
        weight: float | None = None,
        *,
        addresses: Sequence[str | Mapping[str, Any]] | None = None,
        health_check: str | None = None,
        **settings: Any,
    ) -> View:
        """Make a service; with a ``url``, add this address to the service if it is there.

        With ``addresses``, ``health_check`` or settings it must be new (409): use ``update_service`` otherwise.
        ``weight``: of the address, or without one of the service. ``health_check``: the path that is checked.
        """
        body: View = {"name": name, "url": url, "weight": weight, **_camel(settings)}
        if addresses is not None:
            body["addresses"] = _addresses(addresses)
        health = body.get("health")
        if health_check is not None and (health is None or isinstance(health, Mapping)):
            body["health"] = {**(health or {}), "path": health_check}
        return self._view("POST", "/services", _given(body))

    def update_service(self, name: str, **settings: Any) -> View:
        """Change some settings; ``None`` brings back the default."""
        return self._view("PATCH", _service(name), _camel(settings))

    def remove_service(self, name: str) -> None:
        """Also a service that routes lead to: their requests get status 503 then."""
        self._calls.call("DELETE", _service(name), query={"force": "true"})

    def get_services(self) -> list[View]:
        """All services, also those of the configuration."""
        return list(_pages(self._calls, "/services"))

    def get_service(self, name: str) -> View:
        return self._view("GET", _service(name))

    def get_addresses(self, name: str) -> list[View]:
        """The addresses of a service with their state, wherever they were found."""
        found: list[View] = self._view("GET", f"{_service(name)}/addresses")["data"]
        return found

    def remove_address(self, name: str, url: str) -> None:
        self._calls.call("DELETE", f"{_service(name)}/addresses", query={"url": url})

    def drain(self, name: str, url: str, drained: bool = True) -> None:
        """Send no new requests to an address, wherever it was found; those that run go on."""
        self._calls.call("PATCH", f"{_service(name)}/addresses", {"drained": drained}, {"url": url})

    def check_health(self, name: str) -> View:
        """``health`` is ``up``, ``degraded``, ``down`` or ``empty``; ``addresses`` have their own."""
        return self._view("GET", f"{_service(name)}/health")

    # -- weights --------------------------------------------------------------------------------------

    def set_weight(self, name: str, weight: float | None, url: str | None = None) -> View:
        """Of a service, or of one address. It is kept for a name that is not there yet; ``None`` takes it back."""
        body: View = {"weight": weight} if url is None else {"weight": weight, "url": url}
        return self._view("PUT", f"{_service(name)}/weight", body)

    def get_weight(self, name: str, url: str | None = None) -> float:
        view = self._view("GET", f"{_service(name)}/weight")
        if url is None:
            return float(view["weight"])
        weight = view["addresses"].get(url, view["addresses"].get(url.rstrip("/")))
        if weight is None:
            raise RouterError(f"The service {name!r} has no address {url!r}.", 404, "unknown_address", "url")
        return float(weight)

    # -- routes -----------------------------------------------------------------------------------------

    def add_route(self, path: str, service: str | None = None, **settings: Any) -> View:
        """Send requests whose path begins with these segments to a service. The same route again replaces it.

        Further settings: ``methods``, ``host``, ``strip``, ``split`` (weights by service) and others: see /docs.
        """
        return self._view("POST", "/routes", _given({"path": path, "service": service, **_camel(settings)}))

    def remove_route(self, route: str) -> None:
        """By its id, or all routes with a path."""
        if not route.startswith("/"):
            self._calls.call("DELETE", _route(route))
            return
        path = route.rstrip("/") or "/"
        found = [each for each in self.get_routes() if path in (each["path"], each["pattern"])]
        if not found:
            raise RouterError(f"There is no route with the path {route!r}.", 404, "unknown_route", "path")
        for each in found:
            self._calls.call("DELETE", _route(each["id"]))

    def get_routes(self) -> list[View]:
        return list(_pages(self._calls, "/routes"))

    def get_route(self, id: str) -> View:  # noqa: A002 - the API's name
        return self._view("GET", _route(id))

    def route_request(
        self,
        path: str,
        method: str = "GET",
        *,
        json: Any = None,
        data: bytes | str | None = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RoutedResponse:
        """Send a request through the gateway, and return the answer whatever its status. Redirects are not followed."""
        lines = dict(headers or {})
        if self._api_key and not any(name.lower() == "authorization" for name in lines):
            lines["Authorization"] = f"Bearer {self._api_key}"
        target = f"{path}{'&' if '?' in path else '?'}{urlencode(params)}" if params else path
        content = data.encode() if isinstance(data, str) else data
        return self._calls.send(method.upper(), target, lines, json, content)

    def _view(self, method: str, path: str, body: Any = None) -> View:
        found: View = self._calls.call(method, path, body)
        return found

    # Other names of the same methods.
    register_service = add_service
    unregister_service = delete_service = remove_service
    list_services = get_services
    list_routes = get_routes
    register_route = add_route
    delete_route = remove_route
    update_weight = set_service_weight = set_weight
    get_service_weight = get_weight
    health_check = get_service_health = get_health = check_health
    route = send_request = route_request


class ServiceDiscovery:
    """Registers addresses of services, and finds those that are healthy. The parameters are those of RouterService."""

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout: float = 10.0) -> None:
        self._calls = AdminCalls(url, token, timeout)
        self._router = RouterService(url, token, timeout=timeout)

    def __repr__(self) -> str:
        return f"<ServiceDiscovery {self._calls.url}>"

    def register(
        self,
        name: str,
        address: str,
        port: int | None = None,
        *,
        tags: Iterable[str] = (),
        weight: float | None = None,
        scheme: str = "http",
    ) -> View:
        """Add an address, which is a host with a port, or a URL.

        Tags ``weight=2``, ``priority=1``, ``region=eu`` and ``scheme=https`` count as they do in Consul. Others are
        not kept.
        """
        known = dict(tag.split("=", 1) for tag in tags if "=" in tag)
        body: View = {"name": name, "url": _url(address, port, known.get("scheme", scheme)), "weight": weight}
        try:
            if weight is None and "weight" in known:
                body["weight"] = float(known["weight"])
            if "priority" in known:
                body["priority"] = int(known["priority"])
        except ValueError:
            raise RouterError(
                "The tags weight= and priority= need a number.", 0, "invalid_parameters", "tags"
            ) from None
        body["region"] = known.get("region")
        found: View = self._calls.call("POST", "/services", _given(body))
        return found

    def deregister(self, name: str, address: str | None = None, port: int | None = None, scheme: str = "http") -> None:
        """Remove an address; without one, the whole service. A service without addresses stays, with its routes."""
        if address is None:
            self._router.remove_service(name)
        else:
            self._router.remove_address(name, _url(address, port, scheme))

    def discover(self, name: str) -> list[View]:
        """The addresses that get requests now, each with ``url``, ``address``, ``port``, ``weight``; ``[]``: none."""
        try:
            found = self._router.get_addresses(name)
        except RouterError as error:
            if error.code == "unknown_service":
                return []
            raise
        return [_instance(each) for each in found if each["usable"]]

    def get_services(self) -> dict[str, list[View]]:
        """The healthy addresses of every service, by its name."""
        return {
            each["name"]: [_instance(address) for address in each["addresses"] if address["usable"]]
            for each in self._router.get_services()
        }

    def watch(self, name: str, callback: Callable[[list[View]], object], interval: float = 1.0) -> ServiceWatch:
        """Call ``callback`` with the healthy addresses, at first and after each change, in a thread of its own.

        While the gateway does not answer, nothing is called. ``stop`` of the result ends it.
        """
        return ServiceWatch(lambda: self.discover(name), callback, interval)

    # Other names of the same methods.
    register_service = register
    deregister_service = unregister = unregister_service = deregister
    discover_service = get_service = get_instances = discover
    list_services = get_services
    watch_service = watch


class ServiceWatch:
    """Looks at a service every ``interval`` seconds until ``stop``. ``error``: of the last look, if it failed."""

    def __init__(
        self, look: Callable[[], list[View]], callback: Callable[[list[View]], object], interval: float
    ) -> None:
        self._look = look
        self._callback = callback
        self._interval = interval
        self._stopped = threading.Event()
        self.error: RouterError | None = None
        self._thread = threading.Thread(target=self._run, name="watch of a service", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the callback runs no more. It may be called by the callback."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> ServiceWatch:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _run(self) -> None:
        last: list[View] | None = None
        while not self._stopped.is_set():
            try:
                found = self._look()
                self.error = None
            except RouterError as error:
                self.error = error
            else:
                if found != last:
                    last = found
                    self._callback(found)
            self._stopped.wait(self._interval)


def _pages(calls: AdminCalls, path: str) -> Iterator[View]:
    after = ""
    while True:
        page = calls.call("GET", path, query={"limit": 1000, "after": after})
        yield from page["data"]
        if not page["has_more"]:
            return
        after = page["last_id"]


def _service(name: str) -> str:
    return f"/services/{_segment(name, 'name')}"


def _route(id_: str) -> str:
    return f"/routes/{_segment(id_, 'id')}"


def _segment(text: str, param: str) -> str:
    """An empty one would lead to the list."""
    if not text:
        raise RouterError(f"The {param} must not be empty.", 0, "invalid_parameters", param)
    return quote(text, safe="")


def _addresses(addresses: Any) -> Any:
    """What is of a wrong type goes to the gateway, whose error says so."""
    if isinstance(addresses, str) or not isinstance(addresses, Iterable):
        return addresses
    return [_camel(each) if isinstance(each, Mapping) else each for each in addresses]


def _given(body: Mapping[str, Any]) -> View:
    return {name: value for name, value in body.items() if value is not None}


def _camel(settings: Mapping[str, Any]) -> View:
    """Names of settings as the API has them, also within settings; names of headers and services stay."""
    found: View = {}
    for name, value in settings.items():
        first, *rest = name.split("_")
        nested = isinstance(value, Mapping) and name not in ("headers", "split", "set", "add")
        found[first + "".join(map(str.capitalize, rest))] = _camel(value) if nested else value
    return found


def _url(address: str, port: int | None, scheme: str) -> str:
    if "://" in address:
        return address
    host = f"[{address}]" if address.count(":") > 1 and not address.startswith("[") else address
    return f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"


def _instance(address: View) -> View:
    parts = urlsplit(address["url"])
    port = parts.port or (443 if parts.scheme == "https" else 80)
    kept = {name: address[name] for name in ("url", "weight", "priority", "region")}
    return {**kept, "address": parts.hostname, "port": port}
