"""Limits of a configuration as text, for ``sluice check``."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.schema import Config
from proxy.errors import bound_in_words
from proxy.limits.rules import Bounds, Rules


def overview(config: Config) -> list[str]:
    """A line for the store, then one for each level and each configured key with limits of its own."""
    settings, rules = config.rate_limiting, Rules.of(config.rate_limiting, config.auth)
    found = [*_levels(config, rules), *_keys(config, rules)]
    if rules.inactive or not (rules.credentials or found):
        return ["none"]
    where = f"kept in {settings.store}"
    return [where if found else f"only those of credentials, {where}", *found]


def _levels(config: Config, rules: Rules) -> Iterator[str]:
    # The level of addresses applies only without authentication.
    levels = {"global": rules.shared, "perClient": rules.own}
    if not rules.credentials:
        levels["perAddress"] = rules.address
    for name, bounds in (levels | {"perModel": rules.model, "perProvider": rules.provider}).items():
        if text := _text(bounds):
            yield f"{name}  {text}"


def _keys(config: Config, rules: Rules) -> Iterator[str]:
    if config.auth.mode == "none":
        return
    keys = config.auth.keys if config.auth.mode in ("keys", "any") else []
    for kind, clients in (("key", keys), ("certificate", config.auth.certificates)):
        for client in clients:
            if client.limits is not None:
                yield f"{kind} {client.name}  {_text(rules.client(client.limits)) or 'not limited'}"


def _text(bounds: Bounds) -> str:
    return ", ".join(bound_in_words(limit.unit, limit.quota, int(limit.capacity)) for limit in bounds.all)
