"""The cache in words, for ``sluice check``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.config.schema import Config

_SCOPES: Final = {
    "owner": "shared by the keys of an owner",
    "key": "separate for each key",
    "shared": "shared by all clients",
}
_STORES: Final = {"memory": "in memory", "redis": "in Redis"}


def overview(config: Config) -> Iterator[str]:
    """A line; none while the cache is off."""
    cache = config.cache
    if cache.enabled:
        rules = f", {len(cache.rules)} rules" if cache.rules[1:] else ", 1 rule" if cache.rules else ""
        yield (
            f"cache: answers for {cache.ttl_secs:g} s, at most {cache.max_mb:g} MB {_STORES[cache.store]},"
            f" {_SCOPES[cache.scope]}{rules}"
        )
