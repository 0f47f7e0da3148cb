"""Where the agent is: the configuration, and what it leaves out from the variables of Consul's own programs.

Source: https://developer.hashicorp.com/consul/commands#environment-variables
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from proxy.config.service_schema import ConsulSettings

DEFAULT: Final = "127.0.0.1:8500"


class ConsulTarget(Struct, frozen=True):
    """``url``: without a slash at its end. ``token``, ``datacenter``: ``""``: none, the agent's own."""

    url: str
    token: str = ""
    datacenter: str = ""


def target_of(settings: ConsulSettings, environ: Mapping[str, str]) -> ConsulTarget:
    """``CONSUL_HTTP_ADDR`` is a host with a port, or a URL; with ``CONSUL_HTTP_SSL`` the former means https."""
    url = settings.url
    if not url:
        given = environ.get("CONSUL_HTTP_ADDR", "").strip() or DEFAULT
        secure = environ.get("CONSUL_HTTP_SSL", "").lower() in ("1", "true")
        url = given if "://" in given else f"{'https' if secure else 'http'}://{given}"
    return ConsulTarget(url.rstrip("/"), settings.token or environ.get("CONSUL_HTTP_TOKEN", ""), settings.datacenter)
