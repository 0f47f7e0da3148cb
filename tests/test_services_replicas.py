"""Two gateways with one store: what is made at one serves at the other."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.database.databases import KINDS, Forwarder, new_database
from tests.support.answers import json_answer
from tests.support.client import RawClient
from tests.support.consul import FakeConsul
from tests.support.gateway import ADMIN, Gateway, GatewayProcess
from tests.support.patience import until, within
from tests.support.services import postgres_database
from tests.support.upstream import Upstream

BEARER = ("Authorization", f"Bearer {ADMIN}")


@pytest.fixture
async def backend() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(lambda request: json_answer({"path": request.target}))
        yield up


def replica(url: str, folder: Path, number: int) -> Gateway:
    return Gateway({"database": {"url": url}, "dataDir": str(folder / str(number))})


async def admin(client: RawClient, method: str, path: str, **more: Any) -> Any:
    answer = await client.fetch(method, path, headers=[BEARER], **more)
    assert answer.status < 300, answer.json
    return answer.json if answer.body else None


async def status_of(gateway: Gateway | GatewayProcess, path: str, wanted: int) -> bytes:
    """The body of the first answer with this status."""
    client = await gateway.client()

    async def ask() -> bytes:
        while (answer := await client.fetch("GET", path)).status != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return answer.body

    return await within(ask(), f"status {wanted} of {path}")


async def addresses_of(gateway: Gateway, count: int) -> None:
    """Return once the service has so many addresses there."""
    client = await gateway.client()
    while len((await admin(client, "GET", "/services/backend/addresses"))["data"]) != count:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@asynccontextmanager
async def shared_store(kind: str, folder: Path) -> AsyncIterator[dict[str, Any]]:
    """The settings of a gateway for an empty store that several may use."""
    if kind == "consul":
        async with FakeConsul() as consul:
            yield {"discovery": {"store": "consul", "consul": {"url": consul.url}}}
    else:
        async with new_database(kind, folder) as url:
            yield {"database": {"url": url}}


@pytest.mark.parametrize("kind", [*KINDS, "consul"])
async def test_a_service_made_at_one_replica_serves_at_the_other(kind: str, tmp_path: Path, backend: Upstream) -> None:
    async with (
        shared_store(kind, tmp_path) as store,
        GatewayProcess({"dataDir": str(tmp_path / "1")} | store) as first,
        GatewayProcess({"dataDir": str(tmp_path / "2")} | store) as second,
    ):
        here, there = await first.client(), await second.client()
        await admin(here, "POST", "/services", json={"name": "backend", "url": backend.origin})
        route = await admin(here, "POST", "/routes", json={"path": "/api/v1/analyze", "service": "backend"})
        answer = await here.fetch("GET", "/api/v1/analyze?x=1")
        assert answer.json == {"path": "/api/v1/analyze?x=1"}  # in force when it is answered
        assert await status_of(second, "/api/v1/analyze", 200) == b'{"path":"/api/v1/analyze"}'
        await admin(there, "DELETE", f"/routes/{route['id']}")
        await status_of(first, "/api/v1/analyze", 404)
        changes = (await admin(here, "GET", "/admin/routing-changes"))["data"]
        assert [each["kind"] for each in changes] == ["route", "route", "service"]
        versions = [each["version"] for each in changes]
        assert versions == sorted(set(versions), reverse=True)


async def test_changes_at_two_replicas_at_once_are_all_kept(tmp_path: Path) -> None:
    async with (
        new_database("postgresql", tmp_path) as url,
        replica(url, tmp_path, 1) as first,
        replica(url, tmp_path, 2) as second,
    ):
        await admin(await first.client(), "POST", "/services", json={"name": "backend", "url": "http://10.0.0.1:1"})

        async def add(gateway: Gateway, network: int) -> None:
            client = await gateway.client()
            for number in range(6):
                url = f"http://10.0.{network}.{number}:1"
                await admin(client, "POST", "/services", json={"name": "backend", "url": url})

        await within(asyncio.gather(add(first, 1), add(second, 2)), "12 changes")
        for gateway in (first, second):
            await within(addresses_of(gateway, 13), "all changes at each replica")


async def test_without_its_database_a_gateway_serves_what_it_has_and_says_so(tmp_path: Path, backend: Upstream) -> None:
    async with postgres_database() as url, Forwarder(url) as way, replica(way.url, tmp_path, 1) as gateway:
        client = await gateway.client()
        await admin(client, "POST", "/services", json={"name": "backend", "url": backend.origin})
        await admin(client, "POST", "/routes", json={"path": "/x", "service": "backend"})
        await way.cut()

        async def told() -> Any:
            while not (found := (await admin(client, "GET", "/services"))["store"]["error"]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return found

        assert await within(told(), "the store's error")
        assert (await client.fetch("GET", "/x")).status == 200
        refused = await client.fetch("POST", "/services", headers=[BEARER], json={"name": "b", "url": "http://a"})
        assert (refused.status, refused.json["error"]["code"]) == (503, "routing_store_unavailable")
        assert refused.header("retry-after") == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
async def test_a_gateway_with_services_in_a_sqlite_file_has_one_thread(tmp_path: Path) -> None:
    async with GatewayProcess({"dataDir": str(tmp_path)}) as gateway:
        client = await gateway.client()
        await admin(client, "POST", "/services", json={"name": "backend", "url": "http://10.0.0.1:1"})
        await until(lambda: len(os.listdir(f"/proc/{gateway.pid}/task")) == 1, "the threads of the change to end")
        assert (await admin(client, "GET", "/admin/routing-changes"))["data"]
        await until(lambda: len(os.listdir(f"/proc/{gateway.pid}/task")) == 1, "the thread of the list to end")
