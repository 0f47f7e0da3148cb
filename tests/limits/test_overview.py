"""Limits in the output of `sluice check`."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.limit_schema import Limits
from proxy.config.schema import Auth, Config, ConfiguredCertificate
from proxy.errors import RateLimited
from proxy.limits.overview import overview
from tests.support.gateway import to_config

HASH = "sha256:" + "0" * 64
KEYS: dict[str, Any] = {"auth": {"mode": "keys", "keys": [{"name": "a", "hash": HASH}]}}
OWN: dict[str, Any] = {
    "auth": {
        "mode": "keys",
        "keys": [
            {"name": "a", "hash": HASH, "limits": {"requestsPerMinute": 100, "burstSize": 7}},
            {"name": "b", "hash": HASH[:-1] + "1", "limits": {"enabled": False}},
            {"name": "c", "hash": HASH[:-1] + "2"},
        ],
    }
}
LEVELS: dict[str, Any] = {
    "global": {"requestsPerHour": 900},
    "perClient": {"requestsPerMinute": 20, "burstSize": 5, "tokensPerMinute": 4000},
    "perModel": {"concurrent": 3},
    "perProvider": {"enabled": False, "concurrent": 3},
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, ["none"]),
        ({"rateLimiting": LEVELS}, ["none"]),
        ({"rateLimiting": {"enabled": True}}, ["none"]),
        (KEYS, ["only those of credentials, kept in memory"]),
        (KEYS | {"rateLimiting": LEVELS}, ["only those of credentials, kept in memory"]),
        (OWN | {"auth": OWN["auth"] | {"mode": "none"}}, ["none"]),
        (
            OWN,
            ["kept in memory", "key a  100 requests per minute (at most 7 at once)", "key b  not limited"],
        ),
        (
            {"rateLimiting": LEVELS | {"enabled": True}},
            [
                "kept in memory",
                "global  900 requests per hour",
                "perClient  20 requests per minute (at most 5 at once), 4000 tokens per minute",
                "perAddress  200 requests per minute (at most 50 at once), 40000 tokens per minute",
                "perModel  3 concurrent requests",
            ],
        ),
        (
            KEYS | {"rateLimiting": {"enabled": True, "global": {"requestsPerHour": 900}}},
            ["kept in memory", "global  900 requests per hour"],
        ),
    ],
)
def test_the_overview_lists_all_active_limits(source: dict[str, Any], expected: list[str]) -> None:
    assert overview(to_config(source)) == expected


@pytest.mark.parametrize(("mode", "shown"), [("certificates", True), ("keys", True), ("none", False)])
def test_limits_of_certificates_are_listed(mode: Any, shown: bool) -> None:
    entry = ConfiguredCertificate("spiffe://a/*", limits=Limits(requests_per_minute=100))
    found = overview(Config(auth=Auth(mode=mode, certificates=[entry])))
    assert ("certificate spiffe://a/*  100 requests per minute" in found) is shown


@pytest.mark.parametrize(
    ("quota", "burst", "expected"),
    [
        (20, 5, "20 requests per minute (at most 5 at once)"),
        (20, 20, "20 requests per minute"),
        (20, 50, "20 requests per minute"),
        (0, 0, "requests per minute"),
    ],
)
def test_a_rejection_names_the_burst_if_it_is_smaller_than_the_rate(quota: int, burst: int, expected: str) -> None:
    refused = RateLimited("client", "requestsPerMinute", quota=quota, burst=burst, retry_after=3)
    assert refused.message == f"Rate limit exceeded: {expected} for this client. Try again in 3 s."
