"""The scrape, and who may have it."""

from __future__ import annotations

import pytest

from proxy.config.schema import Admin
from proxy.control.access.login import Login
from proxy.control.keys.api_keys import ApiKeys
from proxy.control.pages.metrics import Pages
from proxy.control.routes import routes as table
from proxy.observe.metrics import Metrics
from tests.control.served import Served


async def no_keys() -> None:
    raise AssertionError("no key is asked for here")


def serving(settings: Admin) -> Served:
    def routes(plane: Served) -> object:
        keys = ApiKeys(no_keys, lambda: None, list, lambda hashes: None, plane.bodies)
        login = Login(plane.credential, plane.attempts, plane.bodies)
        return table(settings, Pages(Metrics(version="1.2.3"), plane.budget), login, keys)

    return Served(routes)


async def test_metrics_want_the_token_where_they_are_told_to() -> None:
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
