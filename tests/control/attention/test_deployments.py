"""Troubles of deployments and keys, with real breakers and a clock that the test sets."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.control.attention.deployments import DeploymentTroubles
from proxy.control.attention.trouble import Trouble
from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.samples import LastFailure, SamplesByDeployment
from proxy.providers.credential_source import CredentialSource
from proxy.routing.catalog import Catalog
from proxy.routing.live import LiveState, Registry
from tests.support.clock import MIDNIGHT, FakeClock
from tests.support.gateway import to_config

CHAT = "chat/completions"
UNSERVED = "; no other deployment serves the model"
SOURCE: dict[str, Any] = {
    "circuitBreaker": {"failureThreshold": 1, "cooldownPeriodSecs": 60, "successThreshold": 1},
    "providers": {
        "a": {"baseUrl": "http://127.0.0.1:1/v1", "apiKeys": ["one", "two"]},
        "b": {"baseUrl": "http://127.0.0.1:2/v1", "apiKey": "three"},
    },
    "models": [
        {"name": "m", "provider": "a"},
        {"name": "m", "provider": "b"},
        {"name": "n", "provider": "a"},
        {"name": "off", "provider": "a", "available": False},
    ],
}


class AttentionRig:
    """A catalog of ``SOURCE`` with more ``models``; ``why`` is the failure of every issued credential."""

    waiting = ()
    left_out = ()
    secrets = ()
    config_path = ""
    why = ""

    def __init__(self, *models: dict[str, str]) -> None:
        self.clock = FakeClock()
        self.config = to_config({**SOURCE, "models": [*SOURCE["models"], *models]})
        self.registry = Registry.of(self.config.circuit_breaker)
        self.catalog = Catalog(self.config, self.registry, version="1", created=0)
        self.samples = SamplesByDeployment()
        index = DeploymentIndex(self, self.clock.now)
        clock = WallClock(self.clock.now, self.clock.wall)
        self._troubles = DeploymentTroubles(index, self.samples, clock, self._failure)

    def _failure(self, source: CredentialSource) -> str:
        return self.why

    async def reload(self) -> None:
        raise AssertionError("nothing is loaded here")

    def live(self, label: str) -> LiveState:
        return next(each.live for each in self.catalog.deployments if each.label == label)

    def fail(self, label: str) -> None:
        breaker = self.live(label).breaker
        breaker.fail(breaker.acquire(CHAT, self.clock.now()), self.clock.now(), "server_error")

    async def found(self) -> list[Trouble]:
        return await self._troubles.find()

    async def one(self) -> Trouble:
        [found] = await self.found()
        return found


@pytest.fixture
async def rig() -> AttentionRig:
    return AttentionRig()


async def test_a_gateway_that_serves_has_no_trouble(rig: AttentionRig) -> None:
    assert await rig.found() == []


async def test_an_open_breaker_is_a_warning_while_another_deployment_serves_the_model(rig: AttentionRig) -> None:
    rig.fail("a/m")
    rig.samples[rig.live("a/m").key].last_failure = LastFailure(0.0, "server_error", "", "req_1")
    assert await rig.one() == Trouble(
        "warning",
        "out",
        "a/m",
        "circuit breaker open",
        "server_error",
        since=MIDNIGHT,
        until=MIDNIGHT + 60,
        provider="a",
        deployment="a/m",
        request_id="req_1",
    )


async def test_an_open_breaker_is_an_error_if_nothing_else_serves_the_model(rig: AttentionRig) -> None:
    rig.fail("a/m")
    rig.fail("b/m")
    assert [(each.severity, each.why) for each in await rig.found()] == [
        ("error", "circuit breaker open" + UNSERVED),
        ("error", "circuit breaker open" + UNSERVED),
    ]


async def test_a_deployment_that_an_operator_took_out(rig: AttentionRig) -> None:
    rig.live("a/m").breaker.trip(rig.clock.now(), "operator")
    found = await rig.one()
    assert (found.kind, found.why, found.failure, found.until) == (
        "out",
        "taken out of service by an operator",
        "",
        None,
    )


async def test_a_probe_is_a_warning(rig: AttentionRig) -> None:
    rig.fail("a/n")
    rig.clock.advance(60)
    assert rig.live("a/n").breaker.acquire(CHAT, rig.clock.now()).probe
    found = await rig.one()
    assert (found.severity, found.kind, found.failure) == ("warning", "probing", "server_error")


@pytest.mark.parametrize(
    ("endpoint", "severity", "kind"), [(CHAT, "error", "out"), ("moderations", "notice", "missing")]
)
async def test_a_missing_model_is_out_if_the_endpoint_suits_it(
    endpoint: str, severity: str, kind: str, rig: AttentionRig
) -> None:
    rig.live("a/n").breaker.missing(endpoint, rig.clock.now())
    found = await rig.one()
    assert (found.severity, found.kind) == (severity, kind)
    assert found.why.removesuffix(UNSERVED) == f"the provider has no such model at {endpoint}"


async def test_a_used_up_rate_limit_is_a_cooldown(rig: AttentionRig) -> None:
    rig.live("a/n").quota.cool_down(rig.clock.now() + 30)
    found = await rig.one()
    assert (found.severity, found.kind, found.until) == ("warning", "cooldown", MIDNIGHT + 30)


@pytest.mark.parametrize(("failed", "shown"), [(4, False), (5, True)])
async def test_errors_count_from_a_share_and_a_number(failed: int, shown: bool, rig: AttentionRig) -> None:
    for number in range(20):
        rig.live("a/m").statistics.record(number >= failed, rig.clock.now())
    assert [(each.kind, each.why) for each in await rig.found()] == [
        ("errors", "25% of 20 attempts failed") for _ in range(shown)
    ]


async def test_few_errors_among_many_attempts_are_no_trouble(rig: AttentionRig) -> None:
    for number in range(100):
        rig.live("a/m").statistics.record(number >= 9, rig.clock.now())
    assert await rig.found() == []


async def test_one_refused_key_of_two_is_a_warning(rig: AttentionRig) -> None:
    keys = rig.catalog.providers["a"].keys
    keys.cool_down(next(iter(keys)), rig.clock.now() + 60)
    found = await rig.one()
    assert (found.severity, found.what, found.why) == ("warning", "a", "1 of 2 keys refused or rate-limited")


async def test_a_provider_without_a_usable_key_is_one_error(rig: AttentionRig) -> None:
    for key in (keys := rig.catalog.providers["a"].keys):
        keys.cool_down(key, rig.clock.now() + 60, limited=True)
    found = await rig.one()
    assert (found.severity, found.what, found.why) == ("error", "a", "every key is rate-limited")
    assert (found.until, found.count) == (MIDNIGHT + 60, 2)


async def test_the_keys_of_a_provider_whose_models_others_serve_are_a_warning(rig: AttentionRig) -> None:
    keys = rig.catalog.providers["b"].keys
    keys.cool_down(next(iter(keys)), rig.clock.now() + 60)
    found = await rig.one()
    assert (found.severity, found.why) == ("warning", "its key is refused")


async def test_the_same_trouble_of_many_deployments_is_one_entry() -> None:
    rig = AttentionRig(*({"name": f"x{number}", "provider": "b"} for number in range(4)))
    for number in range(4):
        rig.fail(f"b/x{number}")
        rig.clock.advance(1)
    found = await rig.one()
    assert (found.what, found.count, found.deployment) == ("4 deployments of b", 4, "")
    assert (found.since, found.until) == (MIDNIGHT, MIDNIGHT + 63)


async def test_an_issued_credential_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, rig: AttentionRig) -> None:
    source = CredentialSource("aws", rig.config.providers["b"].cloud)
    next(iter(rig.catalog.providers["b"].keys)).source = source
    assert await rig.found() == []
    rig.why = "no profile"
    found = await rig.one()
    assert (found.kind, found.why) == ("credential", "its credential cannot be fetched: no profile")
