"""What the configuration says about the keys of requests."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.cache.compiled import CompiledCacheSettings, version_of
from tests.support.gateway import to_config

PROVIDER = {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "secret-key"}
BASE: dict[str, Any] = {
    "providers": {"up": PROVIDER},
    "models": [{"name": "m", "provider": "up", "model": "up-model"}],
}


def version(**sections: Any) -> str:
    return version_of(to_config(BASE | sections))


@pytest.mark.parametrize(
    ("sections", "seconds"),
    [
        ({}, 30),
        ({"cache": {"waitSecs": 5}}, 5),
        ({"cache": {"waitSecs": 0}, "routing": {"deadlineSecs": 10}}, 0),
        ({"routing": {"deadlineSecs": 10}}, 5),
    ],
)
def test_a_request_that_has_waited_has_time_to_be_sent(sections: dict[str, Any], seconds: float) -> None:
    assert CompiledCacheSettings(to_config(BASE | sections)).wait == seconds


def test_equal_configurations_share_answers() -> None:
    assert version() == version()


@pytest.mark.parametrize(
    "sections",
    [
        {"models": [{"name": "m", "provider": "up", "model": "other"}]},
        {"providers": {"up": PROVIDER | {"baseUrl": "http://127.0.0.1:2/v1"}}},
        {"aliases": {"best": "m"}},
        {"translate": {"onLoss": "refuse"}},
        {"routing": {"fallback": {"provider": "up", "model": "f"}}},
        {"providers": {"up": PROVIDER | {"headers": {"OpenAI-Organization": "org-1"}}}},
    ],
)
def test_what_decides_who_answers_makes_another_version(sections: dict[str, Any]) -> None:
    assert version(**sections) != version()


@pytest.mark.parametrize(
    "sections",
    [
        {"providers": {"up": PROVIDER | {"apiKey": "another-key"}}},
        {"server": {"port": 1}},
        {"logging": {"level": "error"}},
        {"cache": {"ttlSecs": 5}},
    ],
)
def test_other_settings_do_not(sections: dict[str, Any]) -> None:
    assert version(**sections) == version()


@pytest.mark.parametrize("key", ["wJalr", "another"])
def test_keys_of_a_cloud_do_not(key: str) -> None:
    def signed(secret: str) -> str:
        cloud = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": secret, "region": "eu-west-1", "service": "bedrock"}
        return version(providers={"up": {"baseUrl": "http://127.0.0.1:1/v1", "kind": "bedrock", "cloud": cloud}})

    assert signed(key) == signed("wJalr")
    assert signed(key) != version()
