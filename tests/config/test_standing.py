from __future__ import annotations

import pytest
from msgspec.structs import replace

from proxy.config.cache_schema import CacheSettings
from proxy.config.limit_schema import Limits
from proxy.config.observe_schema import Logging, Observe
from proxy.config.provider_schema import PoolSettings
from proxy.config.schema import (
    Admin,
    Auth,
    CircuitBreaker,
    Config,
    ConfiguredCertificate,
    ConfiguredKey,
    Database,
    Jwt,
    RateLimiting,
    Redis,
    ServerSettings,
)
from proxy.config.service_schema import ConsulRegistration, ConsulSettings, DiscoverySettings
from proxy.config.standing import differences, standing

KEY = ConfiguredKey("k", "sha256:" + "0" * 64)
JWT = Jwt(secret="s" * 32)


def test_settings_that_need_a_restart_are_named() -> None:
    wanted = Config(
        server=ServerSettings(port=1, unix_socket="/s", max_body_mb=1, drain_secs=1),
        pool=PoolSettings(idle_secs=1),
        hooks=["a:b"],
        logging=Logging("debug"),
        default_provider="p",
    )
    assert sorted(differences(Config(), wanted)) == [
        "hooks",
        "pool.idleSecs",
        "server.maxBodyMb",
        "server.port",
        "server.unixSocket",
    ]
    assert differences(wanted, wanted) == []


def test_all_other_settings_are_applied() -> None:
    running = Config(server=ServerSettings(port=1), pool=PoolSettings(idle_secs=1))
    wanted = Config(
        server=ServerSettings(port=2, drain_secs=3, shutdown_delay_secs=4),
        logging=Logging("debug"),
        hooks=["a:b"],
        default_provider="p",
    )
    taken = standing(running, wanted)
    assert (taken.server.port, taken.server.drain_secs, taken.pool.idle_secs, taken.hooks) == (1, 3, 1, [])
    assert taken.server.shutdown_delay_secs == 4
    assert (taken.logging.level, taken.default_provider) == ("debug", "p")


def test_the_agent_of_discovery_is_changed_and_what_the_gateway_keeps_there_is_not() -> None:
    consul = ConsulSettings(token="t", prefix="p", register=ConsulRegistration(enabled=True))
    wanted = Config(discovery=DiscoverySettings(store="consul", region="eu", consul=consul))
    running = Config()
    assert differences(running, wanted) == ["discovery.store", "discovery.consul.prefix", "discovery.consul.register"]
    taken = standing(running, wanted).discovery
    assert (taken.region, taken.consul.token) == ("eu", "t")
    assert (taken.store, taken.consul.prefix, taken.consul.register.enabled) == ("database", "sluice", False)


def test_changes_of_stores_and_authentication_mode_need_a_restart() -> None:
    wanted = Config(
        redis=Redis(url="redis://other", timeout_secs=1),
        database=Database(url="postgresql://other/db"),
        admin=Admin(token="t" * 16),
        data_dir="elsewhere",
        auth=Auth(mode="keys"),
        rate_limiting=RateLimiting(store="redis"),
        circuit_breaker=CircuitBreaker(shared=True),
        cache=CacheSettings(store="redis"),
    )
    running = Config()
    assert sorted(differences(running, wanted)) == [
        "admin.token",
        "auth.mode",
        "cache.store",
        "circuitBreaker.shared",
        "dataDir",
        "database.url",
        "rateLimiting.store",
        "redis.timeoutSecs",
        "redis.url",
    ]
    assert standing(running, wanted) == running
    assert differences(running, standing(running, wanted)) == []


def test_another_log_file_needs_a_restart() -> None:
    wanted = Config(observe=Observe(log_file="other.log"))
    assert differences(Config(), wanted) == ["observe.logFile"]
    assert standing(Config(), wanted).observe.log_file == ""


def test_limits_and_keys_apply_at_once() -> None:
    wanted = Config(
        auth=Auth(mode="keys", keys=[KEY], jwt=JWT),
        rate_limiting=RateLimiting(enabled=True, store="redis", per_client=Limits(requests_per_minute=1)),
        circuit_breaker=CircuitBreaker(failure_threshold=7, shared=True),
    )
    taken = standing(Config(), wanted)
    assert (taken.auth, taken.rate_limiting.store) == (replace(wanted.auth, mode="none"), "memory")
    assert taken.rate_limiting == replace(wanted.rate_limiting, store="memory")
    assert (taken.circuit_breaker.failure_threshold, taken.circuit_breaker.shared) == (7, False)


def test_a_removed_key_stops_even_if_the_mode_needs_a_restart() -> None:
    running = Config(auth=Auth(mode="any", keys=[KEY], jwt=JWT))
    wanted = Config(auth=Auth(mode="keys"))
    assert standing(running, wanted).auth == Auth(mode="any", jwt=JWT)
    assert differences(running, wanted) == ["auth.mode", "auth.jwt"]
    other = Jwt(secret="o" * 32)
    assert standing(running, Config(auth=Auth(mode="any", jwt=other))).auth.jwt == other


def test_a_mode_that_waits_keeps_its_certificates() -> None:
    """Otherwise every client would be refused until the restart."""
    listed = [ConfiguredCertificate("a")]
    running = Config(auth=Auth(mode="certificates", certificates=listed))
    assert differences(running, Config()) == ["auth.mode", "auth.certificates"]
    assert standing(running, Config()).auth == running.auth
    wanted = Config(auth=Auth(mode="certificates", certificates=[ConfiguredCertificate("b")]))
    assert differences(running, wanted) == []
    assert standing(running, wanted).auth == wanted.auth


OTHER_AGENT = ConsulSettings(url="http://other:8500", token="t", register=ConsulRegistration(tags=["blue"]))


def test_another_agent_is_used_at_once_for_discovery_only() -> None:
    wanted = Config(discovery=DiscoverySettings(consul=OTHER_AGENT))
    assert differences(Config(), wanted) == ["discovery.consul.register"]
    taken = standing(Config(), wanted).discovery.consul
    assert taken == replace(OTHER_AGENT, register=ConsulRegistration())


@pytest.mark.parametrize(
    "discovery",
    [
        DiscoverySettings(store="consul"),
        DiscoverySettings(consul=ConsulSettings(register=ConsulRegistration(enabled=True))),
    ],
)
def test_an_agent_that_has_the_store_or_the_registration_stays_until_a_restart(discovery: DiscoverySettings) -> None:
    running = Config(discovery=discovery)
    wanted = Config(discovery=replace(discovery, consul=OTHER_AGENT))
    keys = ["discovery.consul.register", "discovery.consul.token", "discovery.consul.url"]
    assert sorted(differences(running, wanted)) == keys
    assert standing(running, wanted) == running
    assert differences(running, running) == []
