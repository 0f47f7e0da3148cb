"""Settings of the section ``cache`` that are valid and have no effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from proxy.config.complaint import Complaint

if TYPE_CHECKING:
    from proxy.config.schema import Config

# Clients without authentication have such ids, and no names (proxy/identity.py).
_UNPROVEN: Final = ("address:", "client:", "*")


def idle_cache(config: Config) -> Iterator[Complaint]:
    """Complaints with whole paths."""
    cache = config.cache
    if cache.rules and not cache.enabled:
        yield Complaint("cache.rules", "have no effect: cache.enabled is false")
    every = ""
    for number, rule in enumerate(cache.rules):
        place = f"cache.rules[{number}]"
        if every:
            yield Complaint(place, f"has no effect: {every} before it matches every request")
        elif not (rule.models or rule.clients or rule.headers):
            every = f"rules[{number}]"
        if rule.clients and config.auth.mode == "none" and not any(each.startswith(_UNPROVEN) for each in rule.clients):
            yield Complaint(f"{place}.clients", "has no effect: auth.mode is none")
    if cache.enabled and cache.max_answer_kb / 1024 > cache.max_mb:
        yield Complaint("cache.maxAnswerKb", "has no effect: no answer can be larger than cache.maxMb")
