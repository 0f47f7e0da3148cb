"""Breakers and deployments in responses."""

from __future__ import annotations

from proxy.breakers.breaker import Breaker
from proxy.config.service_schema import ServerAddress
from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex, IndexedDeployment
from proxy.control.deployments.samples import DeploymentSamples, LastFailure
from proxy.control.deployments.views import SPARKLINE, breaker_view, deployment_view
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry
from tests.support.fleets import Fleet
from tests.support.gateway import to_config

CONFIG = {
    "providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "k"}},
    "models": [{"name": "m", "provider": "up", "model": "up-m", "maxConcurrent": 3}],
}
CLOCK = WallClock(lambda: 100.0, lambda: 1_700_000_100.0)


class Loaded:
    """As the live configuration, for its catalog."""

    def __init__(self) -> None:
        config = to_config(CONFIG)
        self.registry = Registry.of(config.circuit_breaker)
        self.catalog = Catalog(config, self.registry, version="1", created=0)


def deployment() -> IndexedDeployment:
    loaded = Loaded()
    (found,) = DeploymentIndex(loaded, lambda: 100.0)
    return found


def breaker() -> Breaker:
    return deployment().live.breaker


def test_a_closed_breaker_has_no_cause_and_no_times() -> None:
    view = breaker_view(breaker(), CLOCK)
    assert (view.state, view.since, view.why, view.retry_at) == ("closed", None, "", None)


def test_times_of_an_open_breaker_are_unix_seconds() -> None:
    opened = breaker()
    opened.trip(90.0, "operator")
    view = breaker_view(opened, CLOCK)
    assert (view.state, view.held, view.since) == ("open", True, 1_700_000_090.0)


def test_a_deployment_without_samples_has_no_measurements() -> None:
    view = deployment_view(deployment(), None, CLOCK)
    assert (view.id, view.upstream_model, view.configured, view.max_concurrent) == ("up/m", "up-m", True, 3)
    assert (view.latency_ms, view.tokens_per_second, view.latency_spark_ms, view.last_error) == (None, None, [], None)


def test_a_deployment_of_a_service_has_the_weight_of_its_address_and_no_requests_without_one() -> None:
    fleet = Fleet(["m"])
    [absent] = DeploymentIndex(fleet, lambda: 100.0)
    view = deployment_view(absent, None, CLOCK)
    assert (view.id, view.available, view.blocked) == ("fleet/m#1", False, "its service has no address now")
    fleet.set(ServerAddress("http://127.0.0.1:1", weight=0.5))
    [present] = DeploymentIndex(fleet, lambda: 100.0)
    view = deployment_view(present, None, CLOCK)
    assert (view.id, view.available, view.blocked, view.weight) == ("fleet/m#1", True, "", 0.5)


def test_samples_are_shown_in_milliseconds() -> None:
    samples = DeploymentSamples()
    for _ in range(SPARKLINE + 5):
        samples.add(2.0, 0.5, 30)
    samples.last_failure = LastFailure(95.0, "timeout", "no answer", "r-1")
    view = deployment_view(deployment(), samples, CLOCK)
    assert view.latency_ms is not None
    assert (view.latency_ms.p50, view.tokens_per_second) == (2000.0, 20.0)
    assert view.latency_spark_ms == [2000.0] * SPARKLINE
    assert view.last_error is not None
    assert view.last_error.at == 1_700_000_095.0
