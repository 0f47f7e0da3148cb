"""The configuration in force. What a client sees of a reload is in test_reload.py."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from proxy.addresses.book import AddressBook
from proxy.client.dial import Dialer
from proxy.config.loader import Loaded
from proxy.config.schema import Config
from proxy.control.live import ReloadResult
from proxy.errors import ConfigError
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.routing.catalog import Catalog
from proxy.running_config import RunningConfig
from tests.support.gateway import to_config

UP = {"providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}}, "models": [{"name": "m", "provider": "up"}]}
NOT_A_CERTIFICATE = {"tls": {"caFile": __file__}}


class Root:
    """Records the applied configurations in order, and the log messages."""

    def __init__(self, source: dict[str, Any]) -> None:
        self.adopted: list[tuple[Config, Catalog]] = []
        self.results: list[ReloadResult] = []
        self.refuses = False
        self.book = AddressBook()
        self._written = io.BytesIO()
        self.running = RunningConfig(
            to_config(source),
            [],
            None,
            log=Log(self._written, "info", readable=False),
            metrics=Metrics(),
            observers=Observers(),
            dialer=Dialer({}),
            pseudonym="sluice-test",
            book=self.book,
        )
        self.running.adopt = self._adopt
        self.running.on_reload = self.results.append

    def _adopt(self, config: Config, catalog: Catalog) -> None:
        if self.refuses:
            raise ConfigError(["auth.jwt: no key"])
        self.adopted.append((config, catalog))

    async def take(self, **sections: Any) -> None:
        await self.running.take(Loaded(to_config(UP | sections), []), "test")

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._written.getvalue().splitlines()]


@pytest.fixture
async def root() -> Root:
    found = Root(UP)
    await found.running.start()
    return found


async def test_the_start_compiles_a_catalog_and_hides_secrets() -> None:
    root = Root(UP | {"providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "sk-secret"}}})
    await root.running.start()
    assert [each.name for each in root.running.catalog.deployments] == ["m"]
    assert "sk-secret" in root.running.secrets
    assert root.adopted == []  # nothing runs yet


async def test_certificates_that_cannot_be_read_prevent_the_start() -> None:
    root = Root(UP | {"providers": {"up": {"baseUrl": "https://127.0.0.1:1/v1"} | NOT_A_CERTIFICATE}})
    with pytest.raises(ConfigError, match=r"providers\.up\.tls"):
        await root.running.start()


async def test_a_loaded_configuration_is_applied_with_its_catalog(root: Root) -> None:
    await root.take(models=[{"name": "n", "provider": "up"}])
    ((config, catalog),) = root.adopted
    assert (root.running.config, root.running.catalog) == (config, catalog)
    assert [each.name for each in catalog.deployments] == ["n"]
    assert [result.loaded for result in root.results] == [True]
    assert root.logged[-1]["message"] == "The configuration was loaded again."


async def test_live_state_survives(root: Root) -> None:
    (before,) = root.running.catalog.deployments
    await root.take(routing={"maxRetries": 3})
    (after,) = root.running.catalog.deployments
    assert after is not before
    assert after.live is before.live


@pytest.mark.parametrize("refuses", ["certificates", "adopt"])
async def test_an_invalid_configuration_changes_nothing(root: Root, refuses: str) -> None:
    before = root.running.config, root.running.catalog
    root.refuses = refuses == "adopt"
    changed = {"baseUrl": "https://127.0.0.1:1/v1"} | (NOT_A_CERTIFICATE if refuses == "certificates" else {})
    with pytest.raises(ConfigError):
        await root.take(providers={"up": changed})
    assert (root.running.config, root.running.catalog) == before
    assert root.adopted == root.results == []


async def test_changes_that_take_effect_at_the_next_start_are_named(root: Root) -> None:
    await root.take(pool={"maxConnections": 3})
    assert root.running.waiting == ["pool.maxConnections"]
    assert root.results[-1].waits_for_start == ["pool.maxConnections"]
    assert root.running.config.pool == to_config(UP).pool


async def test_the_demo_provider_never_replaces_providers_that_clients_use(root: Root) -> None:
    with pytest.raises(ConfigError, match="none would be left"):
        await root.running.take(Loaded(to_config({"providers": {}, "demo": "auto"}), []), "test")
    assert not root.running.demo.running


async def test_old_secrets_stay_hidden(root: Root) -> None:
    for key in ("sk-first", "sk-second"):
        await root.take(providers={"up": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": key}})
    assert {"sk-first", "sk-second"} <= root.running.secrets


async def test_invalid_files_are_logged_with_each_mistake(root: Root) -> None:
    root.running.keep("test", ["line 1: no", "line 2: no"])
    assert [line["message"] for line in root.logged][-2:] == ["line 1: no", "line 2: no"]
    assert (root.results[-1].loaded, root.results[-1].mistakes) == (False, ["line 1: no", "line 2: no"])
