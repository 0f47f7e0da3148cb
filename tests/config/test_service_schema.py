from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from proxy.config.loader import load
from proxy.config.schema import Config
from proxy.config.service_schema import DiscoverySettings, RouteSettings, ServiceSettings
from proxy.errors import ConfigError


def loaded(folder: Path, text: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, environ={}).config


ROOT = Path(__file__).resolve().parents[2]


def shipped_example() -> str:
    """The commented sections of config.yaml."""
    text = (ROOT / "config/config.yaml").read_text()
    lines = text[text.index("# services:\n") : text.index("# auto: without")].splitlines()
    return "\n".join(line.removeprefix("# ") for line in lines if line.startswith("# "))


def test_the_shipped_example_loads(tmp_path: Path) -> None:
    text = re.sub(r'^( +)file: "".*$', "", shipped_example(), flags=re.MULTILINE)
    config = loaded(tmp_path, text)
    assert config.services["llm"].addresses[1].weight == 2
    assert config.routes[0].path == "/api/v1/analyze"
    assert config.discovery == DiscoverySettings()


def keys(kind: Any) -> set[str]:
    """The keys of a section, and of the sections in it that are not shared with others."""
    found: set[str] = set()
    for field in msgspec.structs.fields(kind):
        found.add(field.encode_name)
        for inner in (field.type, *get_args(field.type)):
            if isinstance(inner, type) and inner.__module__ == "proxy.config.service_schema":
                found |= keys(inner)
    return found


def test_every_key_is_in_the_shipped_example() -> None:
    known = set(re.findall(r"(\w+):", shipped_example()))
    for kind in (ServiceSettings, RouteSettings, DiscoverySettings):
        assert keys(kind) - known == set()


def test_the_examples_of_the_readme_load(tmp_path: Path) -> None:
    text = (ROOT / "config/README.md").read_text()
    several, routes = text.index("### Several addresses"), text.index("## Services and routes")
    examples = [re.findall(r"```yaml\n(.*?)```", text[begin:], re.DOTALL) for begin in (several, routes)]
    providers, fleet = (loaded(tmp_path, each.replace("${MINE}", "k")) for each in examples[0][:2])
    assert [each.priority for each in providers.providers["mine"].entries] == [0, 0, 1]
    assert fleet.providers["fleet"].services == ("llm",)
    services = loaded(tmp_path, examples[1][0] + "\nauth: {mode: keys}\n")
    assert {route.service for route in services.routes} == {"analyze", "search", ""}


def test_an_address_may_be_its_url_alone(tmp_path: Path) -> None:
    text = "services: {web: {addresses: ['http://a:1/', {url: 'http://b:1', weight: 0.5, priority: 1, region: eu}]}}"
    one, other = loaded(tmp_path, text).services["web"].addresses
    assert (one.url, one.weight, one.priority, one.region) == ("http://a:1", 1.0, 0, "")
    assert (other.url, other.weight, other.priority, other.region) == ("http://b:1", 0.5, 1, "eu")


def test_mistakes_are_told_all_at_once_with_their_place(tmp_path: Path) -> None:
    text = (
        "services: {'a/b': {addresses: [ftp://x]}, web: {addresses: [{weight: 2}], health: {path: up}}}\n"
        "routes: [{path: api, methods: [CONNECT]}]"
    )
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    told = "\n".join(caught.value.mistakes)
    for place in (
        'services."a/b"',
        "services.web.addresses[0].url: is missing",
        "services.web.health.path: must begin with a slash",
        "routes[0].path: must begin with a slash",
        "routes[0].methods[0]: CONNECT is never relayed",
    ):
        assert place in told
