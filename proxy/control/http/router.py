"""The router of the control plane: from method and path to a handler, after the credential check."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Literal, Protocol
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from proxy.config.own_paths import CONTROL_PATHS, CONTROL_PREFIXES
from proxy.control.http.operation import Operation
from proxy.control.http.responses import send_error
from proxy.errors import ClientFault, GatewayError, Unauthorized
from proxy.identity import Client
from proxy.server.request import Request
from proxy.serving import Handler

# Prefixes under which unknown paths need the credential, too.
GUARDED: Final = ("/admin", "/auth", "/services", "/routes")


class Authorizer(Protocol):
    """``proxy.control.access.gate.Gate``."""

    async def authorize(self, request: Request) -> None:
        """Raises GatewayError unless the request has the admin's credential."""

    def is_admin(self, request: Request) -> bool:
        """Whether the admin token is the only credential of the request."""

    def error_headers(self, fault: GatewayError) -> bytes:
        """Header lines for the response to an error that ``authorize`` raised."""


class Warnings(Protocol):
    """``proxy.observe.log.Log``."""

    def warning(self, message: str, /, **fields: Any) -> None: ...


class ControlRoute(Struct, frozen=True):
    """A row of the route table.

    ``path``: may hold ``{parameters}`` of one segment each, or ``{+parameter}`` of several (RFC 6570, 3.2.3).
    ``credential``: ``open`` for everyone; ``admin`` for the admin token, or below /admin a session of it; ``client``
    for who may call models, as ``auth.mode`` has it; ``either`` for both.
    ``handler``: takes the request, the client if the credential is one, and the decoded parameters. With ``either`` the
    client is ``None`` for the admin.
    ``operation``: its OpenAPI text; ``None`` for a page that is read by people.
    """

    method: str
    path: str
    credential: Literal["open", "admin", "client", "either"]
    handler: Callable[..., Awaitable[None]]
    operation: Operation | None = None


_Methods = dict[str, ControlRoute]


def below_admin(routes: Iterable[ControlRoute]) -> tuple[ControlRoute, ...]:
    """The same routes below /admin, for the dashboard: a browser's session is accepted only there.

    The OpenAPI document describes each route once.
    """
    return tuple(replace(route, path=f"/admin{route.path}", operation=None) for route in routes)


class Router(Handler[Request]):
    """The handler of all routes. It responds also while the gateway is full or stops, and never to other origins.

    ``identify`` returns the client of a request. Raises GatewayError.
    ``flush`` is called before each handler, so that responses include every exchange that has ended. ``count``
    receives the status of each response.
    """

    bounded = False
    cross_origin = False

    def __init__(
        self,
        routes: Iterable[ControlRoute],
        gate: Authorizer,
        log: Warnings,
        *,
        identify: Callable[[Request], Awaitable[Client]],
        flush: Callable[[], None],
        count: Callable[[int], None],
    ) -> None:
        self._gate = gate
        self._identify = identify
        self._log = log
        self._flush = flush
        self._count = count
        self._exact: dict[str, _Methods] = {path: {} for path in CONTROL_PATHS}
        self._patterns: list[tuple[re.Pattern[str], _Methods]] = []
        templates: dict[str, _Methods] = {}
        for route in routes:
            templates.setdefault(route.path, {})[route.method] = route
        for path, methods in templates.items():
            if "{" in path:
                self._patterns.append((_pattern(path), methods))
            else:
                self._exact[path] = self._exact[path.rstrip("/") + "/"] = methods

    @property
    def exact(self) -> Iterable[str]:
        """Its paths without parameters."""
        return self._exact

    def takes(self, path: str) -> bool:
        """Whether the path is the control plane's, whatever the method."""
        return path in self._exact or path.startswith(CONTROL_PREFIXES)

    def begin(self, request: Request) -> Request | None:
        return request if self.takes(request.path) else None

    async def answer(self, request: Request) -> None:
        methods, parameters = self._match(request.path)
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if self._is_guarded(request.path, route, methods):
            await self._gate.authorize(request)
        if route is None:
            raise _method_not_allowed(methods) if methods else _unknown_path()
        client: tuple[Client | None, ...] = ()
        if route.credential == "client":
            client = (await self._identify(request),)
        elif route.credential == "either":
            client = (await self._client_or_admin(request),)
        self._flush()
        await route.handler(request, *client, *parameters)

    def refuse(self, request: Request, fault: GatewayError) -> None:
        if fault.detail:
            self._log.warning("A page was refused.", path=request.path, code=fault.code, detail=fault.detail)
        send_error(request, fault, self._gate.error_headers(fault))

    def settle(self, request: Request) -> None:
        self._count(request.reply.status)

    def log_fields(self, request: Request) -> dict[str, str]:
        return {"path": request.path}

    async def _client_or_admin(self, request: Request) -> Client | None:
        """The client; ``None``: the admin. Raises GatewayError.

        What is no client's credential counts as a guess at the admin token, as on other routes. One that comes with a
        client's is not compared with the token, or clients could guess without a limit.
        """
        if self._gate.is_admin(request):
            await self._gate.authorize(request)
            return None
        try:
            return await self._identify(request)
        except GatewayError as refused:
            fault = refused
        try:
            await self._gate.authorize(request)
        except Unauthorized:
            raise fault from None
        return None

    def _match(self, path: str) -> tuple[_Methods, list[str]]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, []
        for pattern, methods in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                return methods, [unquote(value) for value in found.groups()]
        return {}, []

    def _is_guarded(self, path: str, route: ControlRoute | None, methods: _Methods) -> bool:
        """Whether the credential is checked. Without it nobody learns which guarded paths and methods exist."""
        if route is not None:
            return route.credential == "admin"
        if methods:
            return all(each.credential == "admin" for each in methods.values())
        return path.startswith(GUARDED)


def _pattern(path: str) -> re.Pattern[str]:
    """Matches ``path`` with and without a slash at its end."""
    return re.compile("/".join(map(_segment, path.split("/"))) + "/?")


def _segment(text: str) -> str:
    if text.startswith("{+"):
        return "(.+)"
    return "([^/]+)" if text.startswith("{") else re.escape(text)


def _method_not_allowed(methods: _Methods) -> ClientFault:
    allowed = ", ".join(f"{method}, HEAD" if method == "GET" else method for method in methods)
    return ClientFault(f"This path accepts {allowed}.", status=405, code="method_not_allowed", allow=allowed)


def _unknown_path() -> ClientFault:
    return ClientFault("There is nothing at this path.", status=404, code="unknown_path")
