"""The cache in words."""

from __future__ import annotations

from proxy.cache.overview import overview
from tests.support.gateway import to_config


def test_a_cache_is_one_line_and_none_while_it_is_off() -> None:
    rules = [{"models": ["m"], "enabled": False}, {"ttlSecs": 5}]
    shared = {"enabled": True, "store": "redis", "scope": "shared", "ttlSecs": 0.5, "maxMb": 1.5, "rules": rules}
    assert [*overview(to_config({}))] == []
    assert [*overview(to_config({"cache": {"enabled": True}}))] == [
        "cache: answers for 3600 s, at most 256 MB in memory, shared by the keys of an owner"
    ]
    assert [*overview(to_config({"cache": shared}))] == [
        "cache: answers for 0.5 s, at most 1.5 MB in Redis, shared by all clients, 2 rules"
    ]
