from __future__ import annotations

from typing import Literal

import pytest
from msgspec.structs import replace

from proxy.config.own_paths import OwnPaths
from proxy.config.schema import Auth, Config
from proxy.services.definitions import NOTHING, FileDefinitions, definitions, new_mistakes
from proxy.services.entries import Entries, RoutingEntry
from proxy.services.specs import read_route, read_service

FILES = FileDefinitions.of(
    Config(
        services={"web": read_service({"addresses": ["http://a:1"]})},
        routes=[read_route({"path": "/web", "service": "web"}), read_route({"path": "/web", "service": "web"})],
    )
)


OWN = OwnPaths("/api/v1")


def of(*entries: RoutingEntry) -> Entries:
    return Entries.of(1, list(entries))


def test_routes_of_the_file_get_ids_and_come_before_those_of_the_store() -> None:
    made = definitions(FILES, of(RoutingEntry("route", "a", {"path": "/a", "service": "web"}, 1)), OWN)
    assert sorted((each.order, id_, each.definer) for id_, each in made.routes.items())[0][1:] == ("web", "file")
    assert sorted(made.routes, key=lambda id_: made.routes[id_].order) == ["web", "web.2", "a"]
    assert made.routes["a"].definer == "api"


def test_what_the_file_has_cannot_be_defined_by_an_entry_but_overridden() -> None:
    override = RoutingEntry("override", "web", {"weight": 2}, 3)
    made = definitions(
        FILES,
        of(
            RoutingEntry("service", "web", {}, 1),
            RoutingEntry("route", "web", {"path": "/x", "service": "a"}, 2),
            override,
        ),
        OWN,
    )
    assert made.services["web"].definer == "file"
    assert made.overrides["web"].weight == 2
    line = "is configured in the file, so it can be changed only there"
    assert [*made.mistakes.values()] == [(f'service "web" {line}',), (f'route "web" {line}',)]


@pytest.mark.parametrize(("mode", "wrong"), [("none", True), ("keys", False)])
def test_a_route_whose_scopes_no_client_can_have_is_wrong_and_kept(mode: Literal["none", "keys"], wrong: bool) -> None:
    """Without it, a wider route could admit its requests."""
    files = FileDefinitions.of(Config(auth=Auth(mode=mode)))
    made = definitions(files, of(RoutingEntry("route", "r", {"path": "/x", "service": "web", "scopes": ["a"]}, 1)), OWN)
    line = "scopes: need authentication: set auth.mode"
    assert made.mistakes == ({("route", "r"): (line,)} if wrong else {})
    assert [*made.routes] == ["r"]
    assert [*new_mistakes(made, NOTHING)] == ([(("route", "r"), line)] if wrong else [])


@pytest.mark.parametrize("path", ["/admin", "/metrics", "/v1/chat/completions"])
def test_a_route_for_the_gateways_own_path_is_refused(path: str) -> None:
    made = definitions(FILES, of(RoutingEntry("route", "r", {"path": path, "service": "web"}, 1)), OWN)
    assert made.mistakes[("route", "r")] == (f"path: {path} is the gateway's own path, which no route can take",)
    wider = definitions(FILES, of(RoutingEntry("route", "r", {"path": "/", "service": "web"}, 1)), OWN)
    assert not wider.mistakes
    pattern = {"pattern": "/admin/{+rest}", "service": "web"}
    assert definitions(FILES, of(RoutingEntry("route", "r", pattern, 1)), OWN).mistakes


def test_all_mistakes_of_an_entry_are_told_and_the_others_apply() -> None:
    wrong = RoutingEntry("service", "b", {"addresses": ["ftp://x"], "strategy": "best"}, 2)
    made = definitions(FILES, of(wrong, RoutingEntry("service", "c", {}, 3)), OWN)
    assert set(made.services) == {"web", "c"}
    assert len(made.mistakes[("service", "b")]) == 2
    assert list(new_mistakes(made, made)) == []
    assert len(list(new_mistakes(made, definitions(FILES, of(), OWN)))) == 2


def test_unchanged_entries_are_not_read_again() -> None:
    entries = of(RoutingEntry("service", "a", {"weight": 1}, 1), RoutingEntry("service", "b", {"weight": 2}, 2))
    before = definitions(FILES, entries, OWN)
    loaded = Entries.of(3, [replace(each) for each in entries.by_key.values()])
    after = definitions(FILES, loaded.put(RoutingEntry("service", "b", {"weight": 3}, 3)), OWN, before)
    assert after.services["a"] is before.services["a"]
    assert after.services["web"] is before.services["web"]
    assert after.services["b"].settings.weight == 3
