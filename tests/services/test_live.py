from __future__ import annotations

import pytest

from proxy.addresses.book import AddressBook
from proxy.config.own_paths import OwnPaths
from proxy.config.provider_schema import Timeouts, Tls
from proxy.config.schema import Config
from proxy.config.service_schema import ServerAddress
from proxy.errors import ConfigError
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.live import LiveServices
from proxy.services.specs import read_route, read_service


class World:
    """Services with what they tell."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.contexts: list[Tls] = []
        self.broken = False
        self.services = LiveServices(
            AddressBook(), now=lambda: 5.0, context=self._context, own=OwnPaths("/api/v1"), warn=self._warn
        )
        self.services.on_service.append(self.told.append)
        self.version = 0

    def _context(self, tls: Tls) -> object:
        if self.broken:
            raise OSError("no such file")
        self.contexts.append(tls)
        return None

    def _warn(self, message: str, **fields: str) -> None:
        self.told.append(fields["mistake"])

    def put(self, *entries: RoutingEntry) -> None:
        made = self.services.entries
        for each in entries:
            self.version += 1
            made = made.put(RoutingEntry(each.kind, each.name, each.body, self.version))
        self.services.adopt_entries(made)

    def urls(self, name: str) -> list[tuple[str, float, bool]]:
        group = self.services.services[name].group
        return [(each.url, each.settings.weight, each.drained) for each in group.addresses]


FILE = Config(
    services={
        "web": read_service({"addresses": ["http://a:1/base"], "consul": {"service": "web"}}),
        "other": read_service({}),
    },
    routes=[read_route({"path": "/web", "service": "web"})],
)


def service(name: str, **body: object) -> RoutingEntry:
    return RoutingEntry("service", name, body)


def test_files_and_store_define_services_and_only_changed_ones_are_made_anew() -> None:
    world = World()
    world.services.adopt(FILE)
    world.put(service("late", addresses=["http://b:1"]))
    web, late = world.services.services["web"], world.services.services["late"]
    assert (web.definer, late.definer) == ("file", "api")
    world.told.clear()
    world.put(service("late", addresses=["http://b:1", "http://c:1"]))
    assert world.told == ["late"]
    assert world.services.services["web"] is web
    assert [url for url, *_ in world.urls("late")] == ["http://b:1", "http://c:1"]
    world.services.adopt(Config(services=dict(FILE.services), routes=list(FILE.routes)))
    assert world.services.services["web"] is web
    world.services.adopt_entries(world.services.entries.without("service", "late", 9))
    assert world.told == ["late", "late"]
    assert world.services.book.group("late").addresses == ()


def test_clocks_come_from_the_service_then_the_top_then_the_defaults() -> None:
    world = World()
    mine = read_service({"timeouts": {"headers": 5}})
    world.services.adopt(Config(services={"s": mine}, timeouts=Timeouts(idle=7.0, first_content=3.0)))
    clocks = world.services.services["s"].clocks
    assert (clocks.headers, clocks.idle, clocks.connect, clocks.first_content, clocks.total) == (5, 7, 10, 0, 0)
    world.services.adopt(Config(services={"s": mine}, timeouts=Timeouts(idle=8.0)))
    assert world.services.services["s"].clocks.idle == 8


def test_found_addresses_stand_beside_the_configured_ones_without_duplicates() -> None:
    world = World()
    world.services.adopt(FILE)
    found = (ServerAddress(url="http://a:1/base", weight=9), ServerAddress(url="http://b:1", weight=2))
    world.services.found("web", "consul", found)
    assert world.urls("web") == [("http://a:1/base", 1, False), ("http://b:1", 2, False)]
    group = world.services.services["web"].group
    world.services.found("web", "consul", found)
    assert world.services.services["web"].group is group
    world.services.found("web", "dns", [ServerAddress(url="http://c:1")])
    world.services.found("web", "consul", [])
    assert [url for url, *_ in world.urls("web")] == ["http://c:1", "http://a:1/base"]
    world.services.found("unknown", "dns", found)
    assert "unknown" not in world.services.book


def test_overrides_apply_to_configured_and_found_addresses_and_wait_for_a_name() -> None:
    world = World()
    body = {"weight": 3, "addresses": {"http://b:1/": {"weight": 0.5}, "http://a:1/base": {"drained": True}}}
    world.put(RoutingEntry("override", "web", body))
    world.services.adopt(FILE)
    assert world.services.services["web"].weight == 3
    assert world.urls("web") == [("http://a:1/base", 1, True)]
    world.services.found("web", "consul", [ServerAddress(url="http://b:1")])
    assert ("http://b:1", 0.5, False) in world.urls("web")
    world.put(RoutingEntry("override", "web", {}))
    assert world.services.services["web"].weight == 1
    assert ("http://b:1", 1, False) in world.urls("web")


def test_live_state_survives_every_change() -> None:
    world = World()
    world.services.adopt(FILE)
    (address,) = world.services.services["web"].group.addresses
    world.put(RoutingEntry("override", "web", {"addresses": {"http://a:1/base": {"drained": True}}}))
    assert world.services.services["web"].group.addresses == (address,)


def test_a_wrong_set_is_refused_but_only_for_new_mistakes() -> None:
    world = World()
    world.services.adopt(FILE)
    world.put(service("bad", strategy="best"))
    assert "bad" not in world.services.services
    assert [*world.services.mistakes] == [("service", "bad")]
    assert "strategy" in world.told[-1]
    good = world.services.entries.put(service("good"))
    world.services.check(good)
    with pytest.raises(ConfigError) as caught:
        world.services.check(
            good.put(service("web")).put(RoutingEntry("route", "r", {"path": "/admin", "service": "web"}))
        )
    assert len(caught.value.mistakes) == 2


def test_there_is_a_bound_on_services() -> None:
    world = World()
    world.services.adopt(Config(discovery=FILE.discovery.__class__(most_services=1)))
    one = world.services.entries.put(service("a"))
    world.services.check(one)
    with pytest.raises(ConfigError, match="mostServices"):
        world.services.check(one.put(service("b")))


async def test_certificates_are_read_before_requests_need_them() -> None:
    world = World()
    entries = Entries.of(1, [service("s", tls={"verify": False}), service("plain", addresses=["http://a:1"])])
    await world.services.prepare(Config(), entries)
    assert world.contexts == [Tls(verify=False)]
    world.broken = True
    with pytest.raises(ConfigError, match=r"services\.s\.tls: the certificates cannot be used: no such file"):
        await world.services.prepare(Config(), entries)
    world.services.adopt_entries(entries)  # another replica may have the files
    assert "cannot be used" in world.told[-1]
    assert "s" in world.services.services


def test_routes_follow_and_stay_without_their_service() -> None:
    world, tables = World(), list[object]()
    world.services.on_table.append(tables.append)
    world.services.adopt(FILE)
    world.put(RoutingEntry("route", "r", {"path": "/x", "service": "later"}))
    match = world.services.table.match("", "/x/y", "GET", {})
    assert match is not None
    assert world.services.pick(match.route, lambda: 0.5) is None
    world.put(service("later"))
    assert len(tables) == 2
    assert world.services.pick(match.route, lambda: 0.5) is world.services.services["later"]


def test_a_split_follows_weights_and_leaves_out_services_without_addresses() -> None:
    world = World()
    world.services.adopt(
        Config(
            services={
                "a": read_service({"addresses": ["http://a:1"], "weight": 3}),
                "b": read_service({"addresses": ["http://b:1"]}),
                "empty": read_service({}),
            }
        )
    )
    body = {"path": "/x", "split": {"a": 1, "b": 1, "empty": 1, "unknown": 1}}
    world.put(RoutingEntry("route", "r", body), RoutingEntry("route", "own", {"path": "/y", "split": {"a": 0, "b": 0}}))

    def picked(path: str, chance: float) -> str:
        match = world.services.table.match("", path, "GET", {})
        assert match is not None
        found = world.services.pick(match.route, lambda: chance)
        assert found is not None
        return found.name

    assert [picked("/x", chance) for chance in (0, 0.49, 0.5, 0.99)] == ["a", "a", "b", "b"]
    assert [picked("/y", chance) for chance in (0, 0.74, 0.75)] == ["a", "a", "b"]


def test_an_address_is_reached_at_its_origin_below_its_path() -> None:
    world = World()
    world.services.adopt(FILE)
    web = world.services.services["web"]
    (address,) = web.group.addresses
    target = web.target(address)
    assert (target.origin.host, target.origin.port, target.authority, target.path) == ("a", 1, "a:1", "/base")
    assert web.target(address) is target
