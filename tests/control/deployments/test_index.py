"""Ids of deployments, and the search by id or model."""

from __future__ import annotations

from typing import Any

from proxy.control.deployments.index import DeploymentIndex
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry
from tests.support.gateway import to_config

PROVIDERS = {
    "up": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "k"},
    "open": {"baseUrls": ["http://127.0.0.1:2/v1", "http://127.0.0.1:3/v1"]},
}


class Gateway:
    def __init__(self, **sections: Any) -> None:
        self.now = 1000.0
        self.load(**sections)
        self.index = DeploymentIndex(self, lambda: self.now)

    def load(self, **sections: Any) -> None:
        config = to_config({"providers": PROVIDERS, "models": [{"name": "m", "provider": "up"}]} | sections)
        self.registry = getattr(self, "registry", None) or Registry.of(config.circuit_breaker)
        self.catalog = Catalog(config, self.registry, version="1", created=0)

    @property
    def ids(self) -> list[str]:
        return [found.id for found in self.index]


async def test_a_deployment_is_found_by_id_and_several_by_model_name() -> None:
    gateway = Gateway(models=[{"name": "m", "provider": provider} for provider in ("up", "open")])
    assert gateway.ids == ["up/m", "open/m#1", "open/m#2"]
    assert [found.id for found in gateway.index.find("open/m#2")] == ["open/m#2"]
    assert len(gateway.index.find("m")) == 3
    assert gateway.index.find("open/m") == []


async def test_the_fallback_is_included() -> None:
    gateway = Gateway(routing={"fallback": {"provider": "open", "model": "last"}})
    assert gateway.ids == ["up/m", "open/last#1", "open/last#2"]


async def test_an_unconfigured_model_is_shown_while_it_has_state() -> None:
    gateway = Gateway()
    live = gateway.registry.live("open/any@thing@http://127.0.0.1:3/v1", unlisted=True)
    assert gateway.ids == ["up/m"]
    live.statistics.record(True, gateway.now)
    (found,) = gateway.index.find("open/any@thing#2")
    assert (found.name, found.provider.name, found.upstream_model) == ("any@thing", "open", "any@thing")
    assert found.deployment is None
    assert gateway.index.id_of(live.key) == "open/any@thing#2"
    gateway.now += 10_000
    assert gateway.ids == ["up/m"]


async def test_a_breaker_that_is_forced_open_stays_listed() -> None:
    gateway = Gateway()
    gateway.registry.live("open/x@http://127.0.0.1:2/v1", unlisted=True).breaker.trip(gateway.now, "operator")
    gateway.now += 10_000
    assert gateway.ids == ["up/m", "open/x#1"]


async def test_a_reload_replaces_the_deployments() -> None:
    gateway = Gateway()
    assert gateway.ids == ["up/m"]
    gateway.load(models=[{"name": "n", "provider": "up"}])
    assert gateway.ids == ["up/n"]


async def test_deployments_of_a_removed_provider_are_not_shown() -> None:
    gateway = Gateway()
    gone = gateway.registry.live("gone/x@http://127.0.0.1:9/v1")
    gone.in_flight = 1
    assert gateway.ids == ["up/m"]
    assert gateway.index.id_of(gone.key) is None
    assert gateway.index.id_of("nobody/knows@http://127.0.0.1:9/v1") is None
