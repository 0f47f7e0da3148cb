"""Addresses of providers, from the configuration and from services."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.service_schema import ServerAddress
from proxy.providers.address import SiteAddress
from proxy.routing.building import PORTION, DeploymentBuilder
from proxy.routing.catalog import Catalog
from tests.support.catalogs import build, every, plan_for
from tests.support.fleets import Fleet

A, B, C = "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"


def urls(catalog: Catalog, provider: str = "fleet") -> list[str]:
    return [site.base_url for site in catalog.providers[provider].sites if site.address.present]


def tiers(catalog: Catalog, name: str = "m") -> list[list[str]]:
    """Addresses by tier of the plan for a name."""
    return [[each.site.base_url for each in tier.deployments] for tier in plan_for(catalog, name).tiers]


def shares(catalog: Catalog, count: int, name: str = "m") -> dict[str, int]:
    found: dict[str, int] = {}
    for _ in range(count):
        deployment = plan_for(catalog, name).next(0.0)
        assert deployment is not None
        found[deployment.site.base_url] = found.get(deployment.site.base_url, 0) + 1
    return found


def test_a_service_gives_a_provider_its_addresses_with_the_path() -> None:
    fleet = Fleet(["m"])
    assert urls(fleet.set(A, f"{B}/base?x=1")) == [f"{A}/v1", f"{B}/base/v1?x=1"]
    assert urls(fleet.set(B)) == [f"{B}/v1"]
    assert urls(fleet.set()) == []


def test_addresses_without_health_weight_or_that_are_drained_get_no_requests() -> None:
    fleet = Fleet(["m"])
    assert urls(fleet.set(A, ServerAddress(B, weight=0.0), C, drained=[C])) == [f"{A}/v1"]
    fleet.set(A, B)
    assert urls(fleet.healthy(A, False)) == [f"{B}/v1"]
    assert urls(fleet.healthy(B, False)) == [f"{A}/v1", f"{B}/v1"]  # rather all than none
    assert urls(fleet.healthy(A, True)) == [f"{A}/v1"]
    assert urls(fleet.set(A, B, drained=[A, B])) == []


def test_a_configured_address_may_stand_beside_a_service() -> None:
    provider = {"baseUrl": "", "baseUrls": [{"url": "service://llm", "weight": 2}, {"url": C, "priority": 1}]}
    fleet = Fleet(["m"], provider=provider)
    assert tiers(fleet.catalog) == [[C]]
    catalog = fleet.set(ServerAddress(A, weight=3.0), B)
    assert tiers(catalog) == [[A, B], [C]]
    assert [each.weight for each in catalog.deployments] == [6.0, 2.0, 1.0]


def test_priorities_and_regions_make_tiers() -> None:
    fleet = Fleet(["m"], region="eu")
    fleet.set(
        ServerAddress(A, priority=1, region="eu"),
        ServerAddress(B, region="us"),
        ServerAddress(C),
        ServerAddress(f"{C}/c"),
    )
    assert tiers(fleet.catalog) == [[f"{C}/v1", f"{C}/c/v1"], [f"{B}/v1"], [f"{A}/v1"]]


def test_auto_uses_the_best_addresses_of_each_model_first() -> None:
    providers: dict[str, Any] = {
        "p": {"baseUrls": [A, {"url": B, "priority": 1}]},
        "q": {"baseUrls": [{"url": C, "priority": 5}]},
    }
    known = build([{"name": "m", "provider": "p"}, {"name": "n", "provider": "q"}], providers)
    assert tiers(known, "auto") == [[A, C], [B]]


def test_turns_follow_unequal_weights_of_addresses() -> None:
    providers: dict[str, Any] = {"p": {"baseUrls": [A, {"url": B, "weight": 0.5}]}}
    known = build([{"name": "m", "provider": "p"}], providers)
    assert shares(known, 30) == {A: 20, B: 10}
    even = build([{"name": "m", "provider": "p"}], {"p": {"baseUrls": [A, B]}})
    assert shares(even, 30) == {A: 15, B: 15}


def test_what_has_not_changed_is_used_again() -> None:
    fleet = Fleet(["m", "n"])
    before = {each.key: each for each in fleet.set(A, B).deployments}
    after = {each.key: each for each in fleet.set(B, C).deployments}
    kept = before.keys() & after.keys()
    assert kept == {f"fleet/{name}@{B}/v1" for name in ("m", "n")}
    assert all(before[key] is after[key] for key in kept)


def test_the_state_of_an_address_is_kept_until_it_comes_back() -> None:
    fleet = Fleet(["m"])
    [old] = fleet.set(A).deployments
    fleet.set(B)
    assert fleet.registry.breaker(old.key) is None
    [new] = fleet.set(A).deployments
    assert new is not old
    assert new.live is old.live


def test_an_address_keeps_the_number_in_its_label_while_others_come_and_go() -> None:
    fleet = Fleet(["m"])

    def labels() -> list[str]:
        return [each.label for each in fleet.catalog.deployments]

    fleet.set(A, B)
    assert labels() == ["fleet/m#1", "fleet/m#2"]
    fleet.set(B)
    assert labels() == ["fleet/m#2"]
    fleet.set(C, B)
    assert labels() == ["fleet/m#1", "fleet/m#2"]
    fleet.healthy(C, False)
    fleet.healthy(C, True)
    assert labels() == ["fleet/m#1", "fleet/m#2"]


@pytest.mark.parametrize("models", [["m"], []])
@pytest.mark.parametrize("name", ["m", "auto", "fleet/m"])
def test_without_an_address_a_model_is_skipped_and_not_unknown(models: list[str], name: str) -> None:
    plan = plan_for(Fleet(models).catalog, name)
    assert every(plan) == []
    assert {reason for _, reason in plan.skipped} == {"no_address"}


def test_a_configured_address_of_weight_0_gets_no_requests() -> None:
    known = build([{"name": "m", "provider": "p"}], {"p": {"baseUrls": [{"url": A, "weight": 0}, B]}})
    assert known.providers["p"].sites[0].address == SiteAddress(B, number=2)
    assert tiers(known) == [[B]]


def test_new_deployments_are_prepared_in_portions_and_then_used(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet([f"m{number}" for number in range(PORTION // 2)])
    fleet.set(A)
    before = {each.label: each for each in fleet.catalog.deployments}
    fleet.place(A, B, C)
    assert fleet.prepare() == 2
    assert [each.label for each in fleet.catalog.deployments] == [*before]
    assert urls(fleet.catalog) == [f"{A}/v1"]
    built: list[str] = []
    real = DeploymentBuilder.build

    def build(self: DeploymentBuilder, site: Any, name: str, *more: Any, **options: Any) -> Any:
        built.append(name)
        return real(self, site, name, *more, **options)

    monkeypatch.setattr(DeploymentBuilder, "build", build)
    fleet.renew()
    assert built == [""]  # that of passthrough, which each catalog has
    assert urls(fleet.catalog) == [f"{A}/v1", f"{B}/v1", f"{C}/v1"]
    assert len(fleet.catalog.deployments) == 3 * len(before)
    assert all(each in fleet.catalog.deployments for each in before.values())


def test_addresses_that_change_while_others_are_prepared_are_those_of_the_catalog() -> None:
    fleet = Fleet(["m"])
    fleet.set(A)
    fleet.place(A, B)
    fleet.prepare()
    fleet.set(A, C)
    assert urls(fleet.catalog) == [f"{A}/v1", f"{C}/v1"]
    assert tiers(fleet.catalog) == [[f"{A}/v1", f"{C}/v1"]]
    fleet.set(A, B)
    assert tiers(fleet.catalog) == [[f"{A}/v1", f"{B}/v1"]]
