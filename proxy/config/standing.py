"""What of a configuration is only looked at when the process starts."""

from __future__ import annotations

from typing import Any

from msgspec.structs import fields, replace

from proxy.config.schema import Config

# All else is swapped. server.drain_secs is looked at when the gateway stops, and so may change.
STANDING = ("server", "pool", "hooks")
_SWAPPED = frozenset({"server.drainSecs"})


def differences(running: Config, wanted: Config) -> list[str]:
    """The keys, as they stand in the file, whose change waits for the next start."""
    found = []
    for field in fields(Config):
        if field.name in STANDING:
            found += _differences(getattr(running, field.name), getattr(wanted, field.name), field.encode_name)
    return [key for key in found if key not in _SWAPPED]


def _differences(running: Any, wanted: Any, key: str) -> list[str]:
    if running == wanted:
        return []
    if not hasattr(running, "__struct_fields__"):
        return [key]
    return [
        f"{key}.{field.encode_name}"
        for field in fields(running)
        if getattr(running, field.name) != getattr(wanted, field.name)
    ]


def standing(running: Config, wanted: Config) -> Config:
    """``wanted`` as far as it can be had without a start; the rest is as it runs."""
    server = replace(running.server, drain_secs=wanted.server.drain_secs)
    return replace(wanted, server=server, pool=running.pool, hooks=running.hooks)
