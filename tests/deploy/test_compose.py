"""The compose files: hardened services, pinned images, mounted files that exist, and variables that are explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.known_providers import HOSTED
from proxy.config.loader import load
from tests.deploy.compose import (
    DEPLOY,
    DEVELOPMENT,
    FILES,
    PRODUCTION,
    VALUES,
    environment,
    example_variables,
    filled,
    mounts,
    required,
    services,
    variables,
)

PUBLIC = {"8080", "8443"}  # ports of nginx for everyone: the redirect and the API

EACH = [pytest.param(file, name, id=f"{file.name}-{name}") for file in FILES for name in services(file)]


def document(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


def published(file: Path) -> Iterator[tuple[str, str, str]]:
    """Service, address of the host (``""``: all), and port of the container."""
    for name, service in services(file).items():
        for port in service.get("ports", ()):
            *address, _, inside = filled(port, {}).split(":")
            yield name, "".join(address), inside


@pytest.mark.parametrize(("file", "name"), EACH)
def test_a_service_is_hardened_and_observed(file: Path, name: str) -> None:
    service = services(file)[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    if name == "nginx":  # the main process reads the key, and starts workers as another user
        assert service["cap_add"] == ["CHOWN", "SETGID", "SETUID"]
    else:
        assert "cap_add" not in service
        assert service["user"].split(":")[0] not in ("", "0", "root")


@pytest.mark.parametrize(("file", "name"), EACH)
def test_an_image_is_pinned_by_its_tag(file: Path, name: str) -> None:
    service = services(file)[name]
    image, _, tag = filled(service["image"], {}).rpartition(":")
    if image == "sluice-gateway":
        assert service["build"]["context"] == ".."
        assert service["build"]["dockerfile"] == "deploy/Dockerfile"
    else:
        assert image
        assert any(letter.isdigit() for letter in tag), tag


@pytest.mark.parametrize(("file", "name"), EACH)
def test_every_mounted_file_exists(file: Path, name: str) -> None:
    for source, _ in mounts(services(file)[name]):
        if source != "./certs":  # made by ssl-setup.sh
            assert (DEPLOY / source).exists(), source


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_named_volume_and_network_is_declared_and_used(file: Path) -> None:
    found = document(file)
    volumes, networks = set(), set()
    for service in found["services"].values():
        volumes |= {each.split(":")[0] for each in service.get("volumes", ()) if each[0].isalpha()}
        networks |= set(service["networks"])
    assert volumes == set(found["volumes"])
    assert networks == set(found["networks"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_services_wait_until_the_others_are_healthy(file: Path) -> None:
    for service in services(file).values():
        for name, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in services(file)[name]


def test_every_variable_is_in_the_example_and_every_example_is_used() -> None:
    assert example_variables() == set().union(*map(variables, FILES))


def test_development_needs_no_variable_and_production_no_default_password() -> None:
    assert required(DEVELOPMENT) == {}
    assert set(required(PRODUCTION)) == set(VALUES)
    for name, sentence in required(PRODUCTION).items():
        assert sentence.startswith(f"{name} is missing. ")
        assert sentence.endswith(".")
    for name in variables(PRODUCTION):  # no default anywhere
        if name.endswith(("_PASSWORD", "_TOKEN", "_KEY")):
            assert f"${{{name}:-}}" in PRODUCTION.read_text() or name in required(PRODUCTION)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_gateway_gets_the_key_of_every_known_provider(file: Path) -> None:
    keys = {name for name in services(file)["gateway"]["environment"] if name.endswith("_API_KEY")}
    assert keys == {provider.key_variable for provider in HOSTED.values()}


def test_development_is_published_on_loopback_only() -> None:
    assert [*published(DEVELOPMENT)] == [("gateway", "127.0.0.1", "8080")]


def test_in_production_only_nginx_publishes_ports_and_only_the_api_to_everyone() -> None:
    for name, address, inside in published(PRODUCTION):
        assert name == "nginx"
        assert inside in PUBLIC or ip_address(address).is_loopback
    assert len([*published(PRODUCTION)]) == 5


def test_services_with_secrets_are_on_internal_networks_only() -> None:
    networks = document(PRODUCTION)["networks"]
    for name, service in services(PRODUCTION).items():
        outside = {each for each in service["networks"] if not (networks[each] or {}).get("internal")}
        assert outside == {"nginx": {"edge"}, "gateway": {"outbound"}, "alertmanager": {"outbound"}}.get(name, set())
    # nginx finds the gateways on one network only, the one whose subnet they trust.
    assert set(services(PRODUCTION)["nginx"]["networks"]) & set(services(PRODUCTION)["gateway"]["networks"]) == {
        "front"
    }


def test_every_service_of_production_has_limits() -> None:
    for service in services(PRODUCTION).values():
        assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])


def test_only_the_events_profile_starts_rabbitmq() -> None:
    assert {name: each["profiles"] for name, each in services(PRODUCTION).items() if "profiles" in each} == {
        "rabbitmq": ["events"]
    }


def test_the_gateways_read_a_valid_configuration() -> None:
    given = environment(PRODUCTION, "gateway", VALUES | {"OPENAI_API_KEY": "sk-test"})
    place = Path(given.pop("ROUTER_CONFIG_PATH"))
    sources = {target: source for source, target in mounts(services(PRODUCTION)["gateway"])}
    folder = DEPLOY / sources[str(place.parent)]
    assert (DEPLOY / sources["/srv/config"]).resolve() == (DEPLOY.parent / "config")
    loaded = load(folder / place.name, given)
    assert loaded.notices == []
    config = loaded.config
    assert loaded.variables.not_understood == []
    assert config.server.allowed_hosts == ["gateway.example.org"]
    assert config.server.host == "0.0.0.0"
    assert config.auth.mode == "keys"
    assert config.admin.listen.endswith(":9090")
    assert config.database.url == "postgresql://sluice:postgres-secret@postgres/sluice"
    assert config.redis.url == "redis://:redis-secret@redis:6379/0"
    assert config.rate_limiting.store == "redis"
    assert config.circuit_breaker.shared
    # A container has the memory for what may be buffered, and a grace period for what may still run.
    gateway = services(PRODUCTION)["gateway"]
    assert gateway["deploy"]["resources"]["limits"]["memory"] == "1G"
    assert config.server.max_buffered_mb <= 512
    assert config.server.drain_secs < int(gateway["stop_grace_period"].removesuffix("s"))


def test_the_development_gateway_limits_with_redis_and_serves_the_demo() -> None:
    given = environment(DEVELOPMENT, "gateway", {})
    loaded = load(DEPLOY.parent / "config" / "config.yaml", given)
    assert loaded.variables.not_understood == []
    assert loaded.config.demo == "auto"
    assert loaded.config.server.insecure
    assert loaded.config.rate_limiting.enabled
    assert loaded.config.rate_limiting.store == "redis"
    assert loaded.config.redis.url == "redis://redis:6379/0"


def test_grafana_is_provisioned_with_the_dashboard_and_its_data_source() -> None:
    places = {target: DEPLOY / source for source, target in mounts(services(PRODUCTION)["grafana"])}
    (source_file,) = places["/etc/grafana/provisioning/datasources"].iterdir()
    (source,) = yaml.safe_load(source_file.read_text())["datasources"]
    assert source["isDefault"] is True
    assert source["url"] == "http://prometheus:9090"
    (provider_file,) = places["/etc/grafana/provisioning/dashboards"].iterdir()
    (provider,) = yaml.safe_load(provider_file.read_text())["providers"]
    assert provider["type"] == "file"
    (shown,) = [place for target, place in places.items() if Path(target).parent == Path(provider["options"]["path"])]
    dashboard = json.loads(shown.read_text())
    # The dashboard's data source is a variable, whose first value is the default data source of this type.
    chosen = next(each for each in dashboard["templating"]["list"] if each["type"] == "datasource")
    assert chosen["query"] == source["type"] == "prometheus"
    used = {panel["datasource"]["uid"] for panel in dashboard["panels"] if panel["type"] != "row"}
    assert used == {f"${{{chosen['name']}}}"}
    assert set(services(PRODUCTION)["grafana"]["networks"]) & set(services(PRODUCTION)["prometheus"]["networks"])


def test_prometheus_and_alertmanager_find_their_targets() -> None:
    given = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    (job,) = given["scrape_configs"]
    assert job["job_name"] == "sluice"  # the rules expect it
    (found,) = job["dns_sd_configs"]
    assert found["names"] == ["gateway"]
    assert given["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    shared = [set(services(PRODUCTION)[name]["networks"]) for name in ("prometheus", "gateway", "alertmanager")]
    assert "monitor" in set.intersection(*shared)
    assert set(given["rule_files"]) <= {Path(t).name for _, t in mounts(services(PRODUCTION)["prometheus"])}


def test_nginx_reads_the_certificates_that_are_mounted() -> None:
    text = (DEPLOY / "compose" / "nginx.conf").read_text()
    targets = {target for _, target in mounts(services(PRODUCTION)["nginx"])}
    assert "/etc/nginx/certs" in targets
    assert "/etc/nginx/certs/fullchain.pem" in text
    listening = {inside for _, _, inside in published(PRODUCTION)}
    assert all(f"listen {port}" in text for port in listening)
