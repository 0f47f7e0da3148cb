"""The control plane at an address of its own (``admin.listen``). Health checks are served at the API's address, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.control.http.responses import send_error
from proxy.control.http.router import Router
from proxy.errors import ClientFault, GatewayError
from proxy.server.request import Request
from proxy.serving import Handler

_HEALTH: Final = ("/health", "/health/live", "/ready")


class ElsewhereHandler(Handler[Request]):
    """Responds 404 to paths that are served at the other address.

    ``router`` answers ``OPTIONS /``, the default check of HAProxy.
    """

    bounded = False
    cross_origin = False

    def __init__(self, takes: Callable[[str], bool], message: str, router: Router | None = None) -> None:
        self._takes = takes
        self._message = message
        self._router = router

    def begin(self, request: Request) -> Request | None:
        return request if self._takes(request.path) else None

    async def answer(self, request: Request) -> None:
        if self._router is not None and request.method == "OPTIONS" and request.path == "/":
            await self._router.answer(request)
            return
        raise ClientFault(self._message, status=404, code="unknown_path")

    def refuse(self, request: Request, fault: GatewayError) -> None:
        send_error(request, fault)

    def log_fields(self, request: Request) -> dict[str, str]:
        return {"path": request.path}


def handlers_at_api(router: Router, base_path: str) -> tuple[Handler[Any], ...]:
    """The control plane's handlers at the API's address, if it has its own: health checks only."""
    health = {*_HEALTH, "/v1/health", f"{base_path.rstrip('/')}/health"}
    elsewhere = ElsewhereHandler(
        lambda path: router.takes(path) and path.removesuffix("/") not in health,
        "The control plane has an address of its own.",
        router,
    )
    return elsewhere, router


def handlers_at_own(router: Router) -> tuple[Handler[Any], ...]:
    """The handlers at the control plane's own address."""
    return router, ElsewhereHandler(lambda path: True, "There is nothing at this path; the API has its own address.")
