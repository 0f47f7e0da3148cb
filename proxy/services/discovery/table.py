"""The technologies that addresses are found by, each imported when a service uses it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from msgspec import Struct

from proxy.config.service_schema import DiscoverySettings, ServiceSettings
from proxy.errors import ConfigError
from proxy.services.discovery.base import Discovery


class _Technology(Struct, frozen=True):
    """``module`` has ``open_discovery``. ``package`` is what it imports; ``""``: nothing that needs an extra."""

    module: str
    package: str = ""
    extra: str = ""


_TABLE: Final = {
    "consul": _Technology("proxy.services.discovery.consul.opening"),
    "dns": _Technology("proxy.services.discovery.dns.opening", "dns", "dns"),
    "file": _Technology("proxy.services.discovery.file.opening"),
}


def wanted(settings: ServiceSettings) -> dict[str, object]:
    """What a service looks for, by the name of the technology; without those that it does not use.

    Sources must begin anew when this changes. Of DNS, URLs have names where certificates are verified.
    """
    found: dict[str, object] = {}
    if settings.consul is not None:
        found["consul"] = settings.consul
    if settings.dns is not None:
        found["dns"] = settings.dns, settings.tls.verify
    if settings.file:
        found["file"] = settings.file
    return found


def own_section(name: str, settings: DiscoverySettings) -> object:
    """The settings that all sources of a technology share; ``None``: it has none."""
    return {"consul": settings.consul, "dns": settings.dns}.get(name)


def missing_package(name: str) -> str:
    """What must be installed for a technology, as a sentence; ``""``: nothing is missing."""
    technology = _TABLE[name]
    if not technology.package or find_spec(technology.package):
        return ""
    return f"{name} needs a package that is not installed: pip install 'sluice-gateway[{technology.extra}]'"


def open_discovery(name: str, settings: DiscoverySettings, environ: Mapping[str, str]) -> Discovery:
    """``environ``: with the variables of ``.env``. Raises ConfigError if a package is missing."""
    if missing := missing_package(name):
        raise ConfigError([missing])
    found: Discovery = import_module(_TABLE[name].module).open_discovery(settings, environ)
    return found
