"""From a path to a route of the control plane: which method, which credential, whose answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

from proxy.control.access.credential import cookie
from proxy.control.access.gate import Gate, SessionOver
from proxy.control.http.replies import refuse
from proxy.control.openapi.operation import Operation
from proxy.errors import ClientFault, GatewayError
from proxy.server.connection import Request

Page = Callable[[Request], Awaitable[None]]

# All of it is ours, whatever the table holds: nothing here is ever taken for a path of the API.
BELOW = ("/admin/", "/auth/", "/health/", "/docs/")
EXACTLY = ("/admin", "/auth", "/health", "/ready", "/metrics")
GUARDED = ("/admin", "/auth")


class Route(Struct, frozen=True):
    """``path`` may hold ``{parameters}``, a segment each, or more where it says ``{+parameter}`` (RFC 6570, 3.2.3).

    ``handler`` takes the request and their decoded values.
    ``wants`` is the credential: ``open`` for anybody, ``admin`` for the admin token, or its session below /admin.
    ``operation`` is what the API description tells of it; a page for people has none.
    """

    method: str
    path: str
    wants: Literal["open", "admin"]
    handler: Callable[..., Awaitable[None]]
    operation: Operation | None = None


_Methods = dict[str, Route]


class Router:
    """``find`` is asked for every request of the gateway: for one of the API it costs a look-up and a comparison.

    ``catch_up`` is called before a page is made: nobody who looks may see less than what has ended. ``count`` gets the
    status of each page that was answered.
    """

    def __init__(
        self, routes: Iterable[Route], gate: Gate, catch_up: Callable[[], None], count: Callable[[int], None]
    ) -> None:
        self._gate = gate
        self._catch_up = catch_up
        self._count = count
        self._exact: dict[str, _Methods] = {path: {} for path in EXACTLY}
        self._patterns: list[tuple[re.Pattern[str], _Methods]] = []
        templates: dict[str, _Methods] = {}
        for route in routes:
            templates.setdefault(route.path, {})[route.method] = route
        for path, methods in templates.items():
            if "{" in path:
                self._patterns.append((_pattern(path), methods))
            else:
                self._exact[path] = self._exact[path.rstrip("/") + "/"] = methods

    def find(self, path: str) -> Page | None:
        """What answers ``path``; ``None``: it is none of the control plane's."""
        if path in self._exact or path.startswith(BELOW):
            return self.serve
        return None

    async def serve(self, request: Request) -> None:
        """Answer it, whatever it is. Raises ClientGone, and what is a defect of ours."""
        try:
            await self._serve(request)
        except GatewayError as fault:
            forget = cookie("", secure=False) if isinstance(fault, SessionOver) else b""
            refuse(request, fault, forget)
        finally:
            self._count(request.reply.status)

    async def _serve(self, request: Request) -> None:
        methods, parameters = self._match(request.path)
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if self._is_guarded(request.path, route, methods):
            await self._gate.admit(request)
        if route is None:
            raise _not_allowed(methods) if methods else _unknown()
        self._catch_up()
        await route.handler(request, *parameters)

    def _match(self, path: str) -> tuple[_Methods, list[str]]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, []
        for pattern, methods in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                return methods, [unquote(value) for value in found.groups()]
        return {}, []

    def _is_guarded(self, path: str, route: Route | None, methods: _Methods) -> bool:
        """What is not there tells nobody so who may not ask: neither the path nor its methods."""
        if route is not None:
            return route.wants == "admin"
        if methods:
            return all(each.wants == "admin" for each in methods.values())
        return path.startswith(GUARDED)


def _pattern(path: str) -> re.Pattern[str]:
    """A slash at the end of a path makes no difference."""
    return re.compile("/".join(map(_segment, path.split("/"))) + "/?")


def _segment(text: str) -> str:
    if text.startswith("{+"):
        return "(.+)"
    return "([^/]+)" if text.startswith("{") else re.escape(text)


def _not_allowed(methods: _Methods) -> ClientFault:
    allowed = ", ".join(f"{method}, HEAD" if method == "GET" else method for method in methods)
    return ClientFault(f"This path takes {allowed}.", status=405, code="method_not_allowed", allow=allowed)


def _unknown() -> ClientFault:
    return ClientFault("There is nothing at this path.", status=404, code="unknown_path")
