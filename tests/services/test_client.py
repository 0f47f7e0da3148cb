"""The Python client against the real routes, in a thread, as a program uses it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from proxy.config.schema import Config
from proxy.services.client import RouterError, RouterService, ServiceDiscovery
from proxy.services.specs import read_route, read_service
from tests.control.server import TOKEN, ControlServer
from tests.control.services.rig import Routing
from tests.support.patience import PATIENCE, until
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")

A, B = "http://10.0.0.1:8000", "http://10.0.0.2:8000"
FILE = Config(
    services={"filed": read_service({"addresses": [A]})}, routes=[read_route({"path": "/filed", "service": "filed"})]
)


@pytest.fixture
def routing() -> Routing:
    return Routing(FILE)


@pytest.fixture
async def plane(routing: Routing) -> AsyncIterator[ControlServer]:
    async with routing.plane() as plane:
        yield plane


async def run(what: Callable[[], T]) -> T:
    return await asyncio.to_thread(what)


@pytest.fixture
def router(plane: ControlServer) -> RouterService:
    return RouterService(f"http://127.0.0.1:{plane.port}", TOKEN, timeout=PATIENCE)


@pytest.fixture
def discovery(plane: ControlServer) -> ServiceDiscovery:
    return ServiceDiscovery(f"http://127.0.0.1:{plane.port}", TOKEN, timeout=PATIENCE)


async def refused(what: Callable[[], object]) -> RouterError:
    with pytest.raises(RouterError) as caught:
        await run(what)
    return caught.value


# -- RouterService -----------------------------------------------------------------------------------


async def test_services_are_added_listed_changed_and_removed(router: RouterService) -> None:
    first = await run(lambda: router.add_service("backend", A, weight=2))
    assert (first["name"], first["url"], first["addresses"][0]["weight"]) == ("backend", A, 2)
    second = await run(lambda: router.register_service("backend", B))
    assert [each["url"] for each in second["addresses"]] == [A, B]
    assert [each["name"] for each in await run(router.list_services)] == ["backend", "filed"]
    changed = await run(lambda: router.update_service("backend", slow_start_secs=5))
    assert changed["settings"]["slowStartSecs"] == 5
    await run(lambda: router.drain("backend", A))
    assert [each["drained"] for each in await run(lambda: router.get_addresses("backend"))] == [True, False]
    await run(lambda: router.remove_address("backend", A))
    assert (await run(lambda: router.get_service("backend")))["url"] == B
    await run(lambda: router.unregister_service("backend"))
    assert (await refused(lambda: router.get_service("backend"))).code == "unknown_service"


async def test_settings_may_be_named_in_snake_case(router: RouterService) -> None:
    view = await run(
        lambda: router.add_service(
            "backend",
            addresses=[A, {"url": B, "weight": 0.5}],
            health_check="/health",
            health={"interval_secs": 2},
            breaker={"failure_threshold": 3},
        )
    )
    assert view["settings"]["health"] == {"path": "/health", "intervalSecs": 2}
    assert view["settings"]["breaker"] == {"failureThreshold": 3}
    route = await run(
        lambda: router.add_route("/x", "backend", request_headers={"set": {"x_tenant": "a"}}, max_body_mb=1)
    )
    assert list(route["settings"]["requestHeaders"]["set"]) == ["x_tenant"]
    assert route["settings"]["maxBodyMb"] == 1


async def test_routes_are_added_listed_and_removed_by_id_or_path(router: RouterService) -> None:
    made = await run(lambda: router.add_route("/api/v1/analyze", "backend"))
    await run(lambda: router.add_route("/api/v1/analyze", "backend", methods=["POST"]))
    await run(lambda: router.add_route("/other/", split={"backend": 1, "filed": 3}))
    assert len(await run(router.get_routes)) == 4
    await run(lambda: router.remove_route("other"))
    assert (await run(lambda: router.get_route(made["id"])))["path"] == "/api/v1/analyze"
    await run(lambda: router.remove_route("/api/v1/analyze"))
    assert [each["path"] for each in await run(router.list_routes)] == ["/filed"]
    assert (await refused(lambda: router.remove_route("/api/v1/analyze"))).code == "unknown_route"
    assert (await refused(lambda: router.remove_route("/filed"))).code == "configured_route"


async def test_the_weight_of_an_unknown_name_is_kept_until_it_comes(router: RouterService) -> None:
    await run(lambda: router.set_weight("later", 5))
    await run(lambda: router.set_service_weight("later", 0.5, A))
    assert await run(lambda: router.get_weight("later")) == 5
    await run(lambda: router.add_service("later", A, weight=1))
    assert await run(lambda: router.get_service_weight("later")) == 5
    assert await run(lambda: router.get_weight("later", A)) == 0.5
    assert (await refused(lambda: router.get_weight("later", B))).code == "unknown_address"
    await run(lambda: router.set_weight("later", None))
    assert await run(lambda: router.get_weight("later")) == 1


async def test_the_health_of_a_service(router: RouterService, routing: Routing) -> None:
    await run(lambda: router.add_service("backend", A))
    assert (await run(lambda: router.check_health("backend")))["health"] == "up"
    [address] = routing.book.group("backend").addresses
    routing.book.note_health(address, False, routing.time)
    assert (await run(lambda: router.get_service_health("backend")))["health"] == "down"


async def test_more_than_a_page_is_listed(router: RouterService, routing: Routing) -> None:
    for number in range(1001):
        routing.config.services[f"s{number:04}"] = read_service({})
    routing.services.adopt(Config(services=routing.config.services))
    found = await run(router.get_services)
    assert len({each["name"] for each in found}) == len(found) == 1002
    for number in range(1001):
        del routing.config.services[f"s{number:04}"]


# -- errors ------------------------------------------------------------------------------------------


async def test_an_error_has_the_message_of_the_gateway(router: RouterService) -> None:
    error = await refused(lambda: router.add_service("backend", "nonsense", weight=-1))
    assert (error.status, error.code, error.param) == (400, "invalid_parameters", "url")
    assert "url: " in str(error)
    assert "weight: " in str(error)


@pytest.mark.parametrize(
    "call",
    [
        lambda router: router.get_service(""),
        lambda router: router.update_service("", weight=2),
        lambda router: router.remove_service(""),
        lambda router: router.get_addresses(""),
        lambda router: router.check_health(""),
        lambda router: router.set_weight("", 1),
        lambda router: router.get_route(""),
        lambda router: router.remove_route(""),
    ],
)
async def test_an_empty_name_is_not_the_list(router: RouterService, call: Callable[[RouterService], object]) -> None:
    error = await refused(lambda: call(router))
    assert (error.status, error.code) == (0, "invalid_parameters")
    assert "must not be empty" in str(error)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"addresses": A}, "addresses: expected a list"),
        ({"addresses": [1]}, "addresses[0]: expected"),
        ({"addresses": 1}, "addresses: expected a list"),
        ({"health": "x", "health_check": "/h"}, "health: expected"),
        ({"strateggy": "random"}, 'did you mean "strategy"'),
    ],
)
async def test_settings_of_a_wrong_type_are_refused_by_the_gateway(
    router: RouterService, settings: dict[str, Any], words: str
) -> None:
    error = await refused(lambda: router.add_service("backend", **settings))
    assert error.status == 400
    assert words in str(error)


async def test_an_address_may_be_written_with_a_slash_at_its_end(router: RouterService) -> None:
    await run(lambda: router.add_service("backend", f"{A}/", weight=2))
    assert await run(lambda: router.get_weight("backend", f"{A}/")) == 2
    await run(lambda: router.drain("backend", f"{A}/"))
    await run(lambda: router.remove_address("backend", f"{A}/"))


async def test_the_weight_of_a_name_that_never_came_is_taken_back(router: RouterService) -> None:
    await run(lambda: router.set_weight("later", 5))
    taken = await run(lambda: router.set_weight("later", None))
    assert (taken["weight"], taken["known"]) == (1, False)
    assert (await refused(lambda: router.get_weight("later"))).code == "unknown_service"


async def test_a_wrong_token_says_where_it_is_set(plane: ControlServer) -> None:
    router = RouterService(f"http://127.0.0.1:{plane.port}", "wrong", timeout=PATIENCE)
    error = await refused(router.get_services)
    assert error.status == 401
    assert "SLUICE_ADMIN_TOKEN" in str(error)


async def test_the_environment_names_gateway_and_token(plane: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_URL", f"http://127.0.0.1:{plane.port}/")
    monkeypatch.setenv("SLUICE_ADMIN_TOKEN", TOKEN)
    assert [each["name"] for each in await run(lambda: RouterService(timeout=PATIENCE).get_services())] == ["filed"]
    assert await run(lambda: list(ServiceDiscovery(timeout=PATIENCE).get_services())) == ["filed"]


def test_importing_it_imports_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import proxy.services.client; "
        "print(*sorted({n.partition('.')[0] for n in sys.modules} - sys.stdlib_module_names), "
        "*sorted(n for n in sys.modules if n.startswith('proxy')))"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE, cwd=ROOT
    )
    assert found.stdout.split() == [
        "__main__",
        "proxy",
        "proxy",
        "proxy.services",
        "proxy.services.admin_calls",
        "proxy.services.client",
    ]


# -- ServiceDiscovery ----------------------------------------------------------------------------------


async def test_addresses_are_registered_found_and_removed(discovery: ServiceDiscovery, routing: Routing) -> None:
    await run(lambda: discovery.register("backend", "10.0.0.1", 8000, weight=2))
    await run(lambda: discovery.register_service("backend", "10.0.0.2", 8000, tags=["weight=3", "region=eu", "web"]))
    await run(lambda: discovery.register("backend", "::1", 8001))
    found = await run(lambda: discovery.discover("backend"))
    assert found == [
        {"url": A, "weight": 2, "priority": 0, "region": "", "address": "10.0.0.1", "port": 8000},
        {"url": B, "weight": 3, "priority": 0, "region": "eu", "address": "10.0.0.2", "port": 8000},
        {"url": "http://[::1]:8001", "weight": 1, "priority": 0, "region": "", "address": "::1", "port": 8001},
    ]
    routing.book.note_health(routing.book.group("backend").addresses[0], False, routing.time)
    assert [each["url"] for each in await run(lambda: discovery.get_service("backend"))] == [B, "http://[::1]:8001"]
    await run(lambda: discovery.deregister("backend", "10.0.0.2", 8000))
    assert [each["port"] for each in (await run(discovery.get_services))["backend"]] == [8001]
    await run(lambda: discovery.deregister_service("backend"))
    assert await run(lambda: discovery.discover_service("backend")) == []
    assert (await refused(lambda: discovery.register("a", "b", 1, tags=["weight=x"]))).code == "invalid_parameters"


async def test_a_watch_calls_at_first_and_after_each_change(discovery: ServiceDiscovery) -> None:
    seen: list[list[str]] = []

    def note(addresses: list[dict[str, Any]]) -> None:
        seen.append([each["url"] for each in addresses])

    watch = discovery.watch("backend", note, interval=0.001)
    await until(lambda: seen == [[]], "the first call")
    await run(lambda: discovery.register("backend", A))
    await until(lambda: seen == [[], [A]], "the call for the new address")
    await run(lambda: discovery.deregister("backend", A))
    await until(lambda: seen == [[], [A], []], "the call for the removed address")
    await run(watch.stop)
    assert watch.error is None


async def test_a_watch_that_is_stopped_by_its_callback_calls_no_more(discovery: ServiceDiscovery) -> None:
    made, called = threading.Event(), threading.Event()
    found: list[Any] = []

    def once(addresses: list[dict[str, Any]]) -> None:
        made.wait(PATIENCE)
        found[0].stop()
        called.set()

    found.append(discovery.watch("backend", once, interval=0.001))
    made.set()
    assert await run(lambda: called.wait(PATIENCE))
    await run(found[0].stop)


def test_a_watch_survives_a_gateway_that_is_away() -> None:
    calls: list[Any] = []
    with ServiceDiscovery(f"http://127.0.0.1:{free_port()}", "x").watch("a", calls.append, interval=0.001) as watch:
        deadline = threading.Event()
        for _ in range(int(PATIENCE / 0.01)):
            if watch.error is not None:
                break
            deadline.wait(0.01)
        assert watch.error is not None
        assert watch.error.status == 0
    assert calls == []
