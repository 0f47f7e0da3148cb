"""Services as the gateway opens them: from the file, from the store, and after a reload."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from proxy.config.schema import Config, Database
from proxy.database.opening import LazyEngine
from proxy.services.entries import Entries
from proxy.services.opening import ServiceParts
from proxy.services.store.base import EntryChange
from proxy.services.store.database import DatabaseEntries
from proxy.services.store.memory import MemoryEntries
from proxy.services.store.opening import open_entries
from tests.support.consul import FakeConsul
from tests.support.gateway import Gateway, to_config
from tests.support.patience import until
from tests.support.service_gateway import plain
from tests.support.upstream import Upstream

FILE = {
    "providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}},
    "services": {"web": {"addresses": ["http://127.0.0.1:2"]}},
    "routes": [{"path": "/web", "service": "web"}],
    "database": {"enabled": False},
}


async def change(gw: Gateway, *changes: EntryChange) -> None:
    def plan(entries: Entries) -> Sequence[EntryChange]:
        return changes

    await gw.app.services.follower.change(plan, "test")


async def put(gw: Gateway, name: str, url: str) -> None:
    route = EntryChange("route", name, {"path": f"/{name}", "service": name})
    await change(gw, EntryChange("service", name, {"addresses": [url]}), route)


def routed(parts: ServiceParts, path: str) -> list[str]:
    match = parts.live.table.match("", path, "GET", {})
    service = None if match is None else parts.live.pick(match.route, lambda: 0.0)
    return [] if service is None else [each.url for each in service.group.addresses]


async def test_the_file_is_in_force_before_the_gateway_listens_and_after_a_reload() -> None:
    async with Gateway(FILE) as gw:
        parts = gw.app.services
        assert routed(parts, "/web/x") == ["http://127.0.0.1:2"]
        changed = FILE | {"services": {"web": {"addresses": ["http://127.0.0.1:3"]}}}
        parts.adopt(to_config(changed))
        assert routed(parts, "/web/x") == ["http://127.0.0.1:3"]


async def test_without_a_database_what_is_made_at_run_time_lives_in_memory() -> None:
    async with Gateway(FILE) as gw:
        parts = gw.app.services
        assert not parts.follower.store.durable
        await put(gw, "late", "http://127.0.0.1:4")
        assert routed(parts, "/late") == ["http://127.0.0.1:4"]


async def test_replicas_with_one_database_have_the_same_services(tmp_path: Path) -> None:
    config = FILE | {"database": {"url": f"sqlite:///{tmp_path / 'shared.db'}"}, "dataDir": str(tmp_path)}
    async with Gateway(config) as one, Gateway(config) as other:
        await put(one, "late", "http://127.0.0.1:4")
        await until(lambda: routed(other.app.services, "/late") == ["http://127.0.0.1:4"], "the other replica")
    async with Gateway(config) as again:
        assert routed(again.app.services, "/late") == ["http://127.0.0.1:4"]


@pytest.mark.parametrize(
    ("database", "kind"), [(Database(enabled=False), MemoryEntries), (Database(), DatabaseEntries)]
)
def test_the_store_follows_from_the_configuration(database: Database, kind: type, tmp_path: Path) -> None:
    config = structs.replace(Config(), database=database, data_dir=str(tmp_path))
    assert isinstance(open_entries(config, LazyEngine(database, tmp_path, str, str)), kind)


async def test_discovery_finds_the_agent_by_the_variables_of_consul() -> None:
    """The environment of the gateway has those of its ``.env``, too."""
    async with FakeConsul(tokens=("the-token",)) as agent:
        agent.register("web", port=8001)
        environ = {"CONSUL_HTTP_ADDR": agent.url.removeprefix("http://"), "CONSUL_HTTP_TOKEN": "the-token"}
        async with Gateway({"services": {"web": {"consul": {"service": "web"}}}}, environ=environ) as gw:
            live = gw.app.services.live
            await until(lambda: len(live.services["web"].group.addresses) == 1, "the address")


@pytest.mark.parametrize("database", [{"enabled": False}, {}])
async def test_replicas_on_several_machines_share_checks_by_consul(database: dict[str, Any], tmp_path: Path) -> None:
    """Each machine may have a SQLite file of its own, which says nothing of the other."""
    async with FakeConsul() as agent, Upstream() as up:
        up.on(lambda request: plain(b"ok"))
        service = {"addresses": [up.origin], "health": {"path": "/", "intervalSecs": 1}}
        config = FILE | {
            "services": {"web": service},
            "discovery": {"store": "consul", "consul": {"url": agent.url, "prefix": "gate"}},
            "database": database,
        }

        def here(gw: Gateway) -> list[bool]:
            """Of the addresses with a result: whether it is of a check by this replica."""
            return [each.here for each in gw.app.services.health("web") if each.healthy]

        async with Gateway(config | {"dataDir": str(tmp_path / "1")}) as one:
            await until(lambda: here(one) == [True], "the first replica to check")
            async with Gateway(config | {"dataDir": str(tmp_path / "2")}) as other:
                await until(lambda: here(other) == [False], "the other replica to know")
        assert all(key.startswith("gate/") for key in agent.api.kv.entries)


async def test_the_gateways_own_paths_are_refused_at_run_time() -> None:
    async with Gateway(FILE) as gw:
        live = gw.app.services.live
        before = live.table
        await change(gw, EntryChange("route", "r", {"path": "/admin", "service": "web"}))
        assert live.table is before
        assert live.mistakes["route", "r"] == ("path: /admin is the gateway's own path, which no route can take",)
