"""Under which ids deployments are shown."""

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
        self.roster = DeploymentIndex(lambda: self.catalog, self.registry, lambda: self.now)

    def load(self, **sections: Any) -> None:
        config = to_config({"providers": PROVIDERS, "models": [{"name": "m", "provider": "up"}]} | sections)
        self.registry = getattr(self, "registry", None) or Registry.of(config.circuit_breaker)
        self.catalog = Catalog(config, self.registry, version="1", created=0)

    @property
    def ids(self) -> list[str]:
        return [member.id for member in self.roster]


async def test_one_is_found_by_its_id_and_all_of_a_name_by_that() -> None:
    gateway = Gateway(models=[{"name": "m", "provider": provider} for provider in ("up", "open")])
    assert gateway.ids == ["up/m", "open/m#1", "open/m#2"]
    assert [member.id for member in gateway.roster.named("open/m#2")] == ["open/m#2"]
    assert len(gateway.roster.named("m")) == 3
    assert gateway.roster.named("open/m") == []


async def test_the_fallback_is_among_them() -> None:
    gateway = Gateway(routing={"fallback": {"provider": "open", "model": "last"}})
    assert gateway.ids == ["up/m", "open/last#1", "open/last#2"]


async def test_a_name_that_was_handed_on_is_shown_as_long_as_anything_is_known_of_it() -> None:
    gateway = Gateway()
    live = gateway.registry.live("open/any@thing@http://127.0.0.1:3/v1", unlisted=True)
    assert gateway.ids == ["up/m"]
    live.statistics.record(True, gateway.now)
    (member,) = gateway.roster.named("open/any@thing#2")
    assert (member.name, member.provider.name, member.upstream_model) == ("any@thing", "open", "any@thing")
    assert member.deployment is None
    assert gateway.roster.id_of(live.key) == "open/any@thing#2"
    gateway.now += 10_000
    assert gateway.ids == ["up/m"]


async def test_one_that_is_held_open_stays_in_reach() -> None:
    gateway = Gateway()
    gateway.registry.live("open/x@http://127.0.0.1:2/v1", unlisted=True).breaker.trip(gateway.now, "operator")
    gateway.now += 10_000
    assert gateway.ids == ["up/m", "open/x#1"]


async def test_after_a_reload_the_new_ones_are_shown() -> None:
    gateway = Gateway()
    assert gateway.ids == ["up/m"]
    gateway.load(models=[{"name": "n", "provider": "up"}])
    assert gateway.ids == ["up/n"]


async def test_of_a_provider_that_is_gone_nothing_is_shown() -> None:
    gateway = Gateway()
    gone = gateway.registry.live("gone/x@http://127.0.0.1:9/v1")
    gone.in_flight = 1
    assert gateway.ids == ["up/m"]
    assert gateway.roster.id_of(gone.key) is None
    assert gateway.roster.id_of("nobody/knows@http://127.0.0.1:9/v1") is None
