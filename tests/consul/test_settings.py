"""Where the agent is."""

from __future__ import annotations

from proxy.config.service_schema import ConsulSettings
from proxy.consul.settings import ConsulTarget, target_of


def test_the_configuration_comes_before_consuls_variables() -> None:
    given = {"CONSUL_HTTP_ADDR": "consul.example:8501", "CONSUL_HTTP_TOKEN": "other", "CONSUL_HTTP_SSL": "true"}
    settings = ConsulSettings(url="http://10.0.0.1:8500/", token="secret", datacenter="eu")
    assert target_of(settings, given) == ConsulTarget("http://10.0.0.1:8500", "secret", "eu")
    assert target_of(ConsulSettings(), given) == ConsulTarget("https://consul.example:8501", "other")


def test_without_either_the_agent_is_on_this_machine() -> None:
    assert target_of(ConsulSettings(), {}).url == "http://127.0.0.1:8500"
    assert target_of(ConsulSettings(), {"CONSUL_HTTP_ADDR": "https://consul:8501"}).url == "https://consul:8501"
