from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.loader import load
from proxy.config.schema import Config
from proxy.errors import ConfigError


def loaded(folder: Path, text: str) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, environ={}).config


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
