"""Settings that take effect only when the process starts."""

from __future__ import annotations

from typing import Any

from msgspec.structs import fields, replace

from proxy.config.schema import Auth, Config
from proxy.config.service_schema import ConsulSettings

# Sections, and keys of other sections. Everything else is applied at a reload.
STANDING = ("server", "pool", "hooks", "redis", "database", "ledger", "admin", "data_dir", "observe")
STANDING_KEYS = (
    ("auth", "mode"),
    ("rate_limiting", "store"),
    ("rate_limiting", "on_store_failure"),
    ("rate_limiting", "max_clients"),
    ("circuit_breaker", "shared"),
    ("discovery", "store"),
    ("cache", "store"),
)
CONSUL_KEYS = ("prefix", "register")  # of discovery.consul
# Read when the process stops.
_SWAPPED = frozenset({"server.drainSecs", "server.shutdownDelaySecs"})


def differences(running: Config, wanted: Config) -> list[str]:
    """Keys, as in the file, whose change needs a restart."""
    keys = {field.name: field.encode_name for field in fields(Config)}
    found = []
    for name in STANDING:
        found += _differences(getattr(running, name), getattr(wanted, name), keys[name])
    for section, name in STANDING_KEYS:
        before, after = getattr(running, section), getattr(wanted, section)
        if getattr(before, name) != getattr(after, name):
            found.append(f"{keys[section]}.{name}")
    found += _differences(_consul(running, wanted), wanted.discovery.consul, "discovery.consul")
    if _jwt_waits(running.auth, wanted.auth):
        found.append("auth.jwt")
    if _certificates_wait(running.auth, wanted.auth):
        found.append("auth.certificates")
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
    """``wanted``, with the values of ``running`` for settings that need a restart."""
    kept = {name: getattr(running, name) for name in STANDING}
    for section, name in STANDING_KEYS:
        changed = kept.get(section, getattr(wanted, section))
        kept[section] = replace(changed, **{name: getattr(getattr(running, section), name)})
    kept["server"] = replace(
        running.server,
        drain_secs=wanted.server.drain_secs,
        shutdown_delay_secs=wanted.server.shutdown_delay_secs,
    )
    kept["discovery"] = replace(kept["discovery"], consul=_consul(running, wanted))
    if _jwt_waits(running.auth, wanted.auth):
        kept["auth"] = replace(kept["auth"], jwt=running.auth.jwt)
    if _certificates_wait(running.auth, wanted.auth):
        kept["auth"] = replace(kept["auth"], certificates=running.auth.certificates)
    return replace(wanted, **kept)


def _consul(running: Config, wanted: Config) -> ConsulSettings:
    """The agent's settings after a reload: its registration and the store keep the connection that they began with."""
    before = running.discovery
    if before.store == "consul" or before.consul.register.enabled:
        return before.consul
    return replace(wanted.discovery.consul, **{name: getattr(before.consul, name) for name in CONSUL_KEYS})


def _jwt_waits(running: Auth, wanted: Auth) -> bool:
    """Whether ``auth.jwt`` was removed while the running mode still needs it."""
    return wanted.jwt is None and running.mode in ("jwt", "any") and running.jwt is not None


def _certificates_wait(running: Auth, wanted: Auth) -> bool:
    """Whether ``auth.certificates`` were removed while the running mode accepts nothing else."""
    return not wanted.certificates and running.mode == "certificates"
