"""The metrics page and its protection."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proxy.config.schema import Admin
from proxy.control.http.router import ControlRoute
from proxy.control.pages.metrics import MetricsPage
from proxy.observe.metrics import Metrics
from tests.control.server import ControlServer


def serving(settings: Admin) -> ControlServer:
    def routes(plane: ControlServer) -> Sequence[ControlRoute]:
        return MetricsPage(Metrics(version="1.2.3"), plane.budget, protected=settings.protect_metrics).routes()

    return ControlServer(routes)


async def test_protected_metrics_require_the_token() -> None:
    async with serving(Admin(protect_metrics=True)) as plane:
        assert (await plane.fetch("GET", "/metrics")).status == 401
        answer = await plane.ask("GET", "/metrics")
        assert (answer.status, answer.header("content-type")) == (200, "text/plain; version=0.0.4; charset=utf-8")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_metrics_are_open_by_default(method: str) -> None:
    async with serving(Admin()) as plane:
        answer = await plane.fetch(method, "/metrics")
        assert answer.status == 200
        assert bool(answer.body) == (method == "GET")
