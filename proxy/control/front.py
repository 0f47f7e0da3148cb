"""An address of the control plane's own (``admin.listen``): its pages there, and none of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from proxy.config.schema import Admin
from proxy.config.schema import ServerSettings as Settings
from proxy.control.http.replies import refuse
from proxy.control.http.router import Page
from proxy.errors import ClientFault, ClientGone, GatewayError
from proxy.observe.bridge import place
from proxy.observe.log import Log
from proxy.server.connection import Request
from proxy.server.guard import HostOriginGuard

# What whoever restarts the process, or sends it traffic, looks at: at both addresses.
_SHARED = ("/health", "/health/live", "/ready")


class Front:
    """``handle`` is a server's handler; ``find`` finds the pages."""

    def __init__(
        self, settings: Settings, find: Callable[[str], Page | None], log: Log, *, protect_metrics: bool
    ) -> None:
        self._edge = HostOriginGuard(settings, local=bool(settings.unix_socket), protect_metrics=protect_metrics)
        self._find = find
        self._log = log

    async def handle(self, request: Request) -> None:
        """Answer one request; never raises for what a client did."""
        try:
            self._edge.check(request)
            page = self._find(request.path)
            if page is None:
                raise ClientFault(
                    "There is nothing at this path; the API has its own address.", status=404, code="unknown_path"
                )
            await page(request)
        except ClientGone:
            pass
        except GatewayError as fault:
            refuse(request, fault)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if request.ended_by is None or task is None or task.uncancel() > 0:
                raise
            if isinstance(request.ended_by, GatewayError):
                refuse(request, request.ended_by)
        except Exception as exc:
            self._log.error("A request failed inside the control plane.", path=request.path, exception=place(exc))
            refuse(request, GatewayError("The gateway failed to handle this request."))


def settings_of(admin: Admin, server: Settings) -> Settings:
    """How the control plane listens: as the API does, at an address of its own."""
    if admin.listen.startswith("unix:"):
        return replace(server, unix_socket=admin.listen.removeprefix("unix:"), tls=None)
    host, _, port = admin.listen.rpartition(":")
    return replace(server, unix_socket="", host=host, port=int(port))


def only_shared(find: Callable[[str], Page | None], base_path: str) -> Callable[[str], Page | None]:
    """What is left at the API's address: a page of ours is there none, nor a path that could be taken for one."""

    shared = {*_SHARED, "/v1/health", f"{base_path.rstrip('/')}/health"}

    async def elsewhere(request: Request) -> None:
        raise ClientFault("The control plane has an address of its own.", status=404, code="unknown_path")

    def found(path: str) -> Page | None:
        page = find(path)
        return page if page is None or path.removesuffix("/") in shared else elsewhere

    return found
