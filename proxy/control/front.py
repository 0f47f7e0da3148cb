"""The control plane as a handler, at the address of the API or at one of its own (``admin.listen``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from proxy.config.schema import Admin
from proxy.config.schema import ServerSettings as Settings
from proxy.control.http.replies import refuse
from proxy.control.http.router import Page
from proxy.errors import ClientFault, GatewayError
from proxy.observe.log import Log
from proxy.server.connection import Request
from proxy.serving import Handler

# What process managers and load balancers look at: it is at both addresses.
_SHARED = ("/health", "/health/live", "/ready")


class PageHandler(Handler[Request]):
    """Pages keep answering while the gateway is full or stops. They are no exchanges, and have no CORS."""

    bounded = False
    cross_origin = False

    def __init__(self, find: Callable[[str], Page | None], log: Log) -> None:
        self._find = find
        self._log = log

    def takes(self, path: str) -> bool:
        return self._find(path) is not None

    def begin(self, request: Request) -> Request:
        return request

    def answer(self, request: Request) -> Awaitable[None]:
        page = self._find(request.path)
        assert page is not None
        return page(request)

    def refuse(self, request: Request, fault: GatewayError) -> None:
        if fault.detail:
            self._log.warning("A page was refused.", path=request.path, code=fault.code, detail=fault.detail)
        refuse(request, fault)

    def log_fields(self, request: Request) -> dict[str, str]:
        return {"path": request.path}


def settings_of(admin: Admin, server: Settings) -> Settings:
    """Settings of the control plane's own listener: those of the API, with another address."""
    if admin.listen.startswith("unix:"):
        return replace(server, unix_socket=admin.listen.removeprefix("unix:"), tls=None)
    host, _, port = admin.listen.rpartition(":")
    return replace(server, unix_socket="", host=host, port=int(port))


def api_pages(find: Callable[[str], Page | None], base_path: str) -> Callable[[str], Page | None]:
    """The pages at the API's address, where the control plane has its own: health. All other paths of pages get 404."""

    shared = {*_SHARED, "/v1/health", f"{base_path.rstrip('/')}/health"}

    async def elsewhere(request: Request) -> None:
        raise ClientFault("The control plane has an address of its own.", status=404, code="unknown_path")

    def found(path: str) -> Page | None:
        page = find(path)
        return page if page is None or path.removesuffix("/") in shared else elsewhere

    return found


def own_pages(find: Callable[[str], Page | None]) -> Callable[[str], Page]:
    """The pages at the control plane's own address. Every other path gets 404."""

    async def nothing(request: Request) -> None:
        raise ClientFault(
            "There is nothing at this path; the API has its own address.", status=404, code="unknown_path"
        )

    return lambda path: find(path) or nothing
