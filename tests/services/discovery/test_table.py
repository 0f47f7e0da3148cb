"""Technologies by name, and what must be installed for them."""

from importlib.util import find_spec

import pytest

from proxy.config.provider_schema import Tls
from proxy.config.service_schema import (
    ConsulSettings,
    ConsulSource,
    DiscoverySettings,
    DnsSettings,
    DnsSource,
    ServiceSettings,
)
from proxy.errors import ConfigError
from proxy.services.discovery import table


def test_a_service_wants_what_its_settings_name() -> None:
    assert table.wanted(ServiceSettings()) == {}
    settings = ServiceSettings(consul=ConsulSource("web"), dns=DnsSource(srv="_http._tcp.web"), file="consul.yml")
    assert list(table.wanted(settings)) == ["consul", "dns", "file"]


def test_dns_begins_anew_when_certificates_are_no_longer_verified() -> None:
    verified = ServiceSettings(dns=DnsSource(srv="_http._tcp.web"), tls=Tls(verify=True))
    other = ServiceSettings(dns=DnsSource(srv="_http._tcp.web"), tls=Tls(verify=False))
    assert table.wanted(verified) != table.wanted(other)


def test_sections_that_all_sources_of_a_technology_share() -> None:
    settings = DiscoverySettings(consul=ConsulSettings(token="t"), dns=DnsSettings(servers=["192.0.2.1"]))
    assert table.own_section("consul", settings) == settings.consul
    assert table.own_section("dns", settings) == settings.dns
    assert table.own_section("file", settings) is None


def test_a_missing_package_is_one_sentence_that_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "find_spec", lambda name: None if name == "dns" else find_spec(name))
    sentence = "dns needs a package that is not installed: pip install 'sluice-gateway[dns]'"
    assert table.missing_package("dns") == sentence
    with pytest.raises(ConfigError) as caught:
        table.open_discovery("dns", DiscoverySettings(), {})
    assert caught.value.mistakes == [sentence]


@pytest.mark.parametrize("name", ["consul", "file"])
def test_others_need_no_package(name: str) -> None:
    assert table.missing_package(name) == ""
