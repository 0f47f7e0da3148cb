"""Show every deployment, and open, close or reset its circuit breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import json

from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex, IndexedDeployment
from proxy.control.deployments.samples import SamplesByDeployment
from proxy.control.deployments.views import ChangedDeployments, DeploymentsView, DeploymentView, deployment_view
from proxy.control.http.operation import Operation
from proxy.control.http.responses import JSON_HEADERS, send_json
from proxy.control.http.router import ControlRoute
from proxy.errors import ClientFault
from proxy.routing.statistics import Statistics
from proxy.server.request import Request

# Deployments that are formatted before other tasks run: about 1 ms.
SLICE: Final = 16

_encode = json.Encoder().encode


class DeploymentHandlers:
    """``samples`` are the recorder's; ``clock`` converts times of breakers and statistics."""

    def __init__(self, index: DeploymentIndex, samples: SamplesByDeployment, clock: WallClock) -> None:
        self._index = index
        self._samples = samples
        self._clock = clock

    def routes(self) -> Sequence[ControlRoute]:
        notes = "`id` is the id of a deployment (encode its `/` as `%2F`), or the name of a model for all of its."
        answer = DeploymentView | ChangedDeployments
        show_all = Operation("operator", "Show every deployment", DeploymentsView)
        reset = Operation("operator", "Forget the failures and statistics of a deployment", answer, notes=notes)
        open_ = Operation("operator", "Open the circuit breaker of a deployment", answer, notes=notes)
        close = Operation("operator", "Close the circuit breaker of a deployment", answer, notes=notes)
        return (
            ControlRoute("GET", "/admin/state", "admin", self.all, show_all),
            ControlRoute("POST", "/admin/state/{+id}/reset", "admin", self.reset, reset),
            ControlRoute("POST", "/admin/state/{+id}/open", "admin", self.open, open_),
            ControlRoute("POST", "/admin/state/{+id}/close", "admin", self.close, close),
        )

    async def all(self, request: Request) -> None:
        """GET /admin/state."""
        pieces: list[bytes] = []
        for number, each in enumerate(list(self._index), 1):
            pieces.append(_encode(self._view(each)))
            if number % SLICE == 0:
                await asyncio.sleep(0)
        now = self._clock.unix(self._clock.now())
        request.reply.send(200, JSON_HEADERS, b'{"now":%b,"deployments":[%b]}' % (_encode(now), b",".join(pieces)))

    async def reset(self, request: Request, name: str) -> None:
        """POST /admin/state/{id}/reset: forget failures, statistics and cooldowns, also of its provider's keys."""
        self._change(request, name, self._forget)

    async def open(self, request: Request, name: str) -> None:
        """POST /admin/state/{id}/open: no requests until it is closed or reset."""
        self._change(request, name, lambda each: each.live.breaker.trip(self._clock.now(), "operator"))

    async def close(self, request: Request, name: str) -> None:
        """POST /admin/state/{id}/close: requests again at once; statistics stay."""
        self._change(request, name, lambda each: each.live.breaker.reset(self._clock.now()))

    def _change(self, request: Request, name: str, change: Callable[[IndexedDeployment], None]) -> None:
        """Change one deployment, or all of a model, and respond with them."""
        found = self._index.find(name)
        if not found:
            raise ClientFault("There is no such deployment.", status=404, code="unknown_deployment")
        for each in found:
            change(each)
        views = [self._view(each) for each in found]
        send_json(request, 200, views[0] if found[0].id == name else ChangedDeployments(views))

    def _view(self, indexed: IndexedDeployment) -> DeploymentView:
        return deployment_view(indexed, self._samples.get(indexed.live.key), self._clock)

    def _forget(self, indexed: IndexedDeployment) -> None:
        live = indexed.live
        live.breaker.reset(self._clock.now())
        live.statistics = Statistics(live.statistics.window)
        live.quota.lift()
        indexed.provider.keys.reset()
        self._samples.pop(live.key, None)
