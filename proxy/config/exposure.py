"""Who can reach the listener without a credential: other machines and web pages."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from proxy.config.schema import Auth, Config, ServerSettings


def is_local(server: ServerSettings) -> bool:
    """Whether only this machine can reach the listener."""
    if server.unix_socket or server.host == "localhost":
        return True
    try:
        return ip_address(server.host).is_loopback
    except ValueError:
        return False


def requires_certificate(server: ServerSettings) -> bool:
    """Whether TLS refuses clients without a certificate of ``server.tls.clientCa``."""
    return server.tls is not None and bool(server.tls.client_ca) and server.tls.client_auth == "require"


def is_open(server: ServerSettings, auth: Auth) -> bool:
    """Whether other machines can reach the listener without a credential."""
    return auth.mode == "none" and not is_local(server) and not requires_certificate(server)


def refusal(config: Config, *, insecure: bool) -> str:
    """Why the gateway refuses to listen; ``""`` if it may. ``insecure``: the command line allows it."""
    server = config.server
    if insecure or server.insecure or not is_open(server, config.auth):
        return ""
    return (
        f"server.host: {server.host} is reachable from other machines, and authentication is off;"
        " set auth.mode, listen on 127.0.0.1, or set LISTEN_INSECURE=true (--insecure) to allow it"
    )


def open_to_pages(config: Config) -> Iterator[str]:
    """One line for each setting that lets any web page use the providers' keys."""
    server = config.server
    for key, values in (("allowedHosts", server.allowed_hosts), ("corsOrigins", server.cors_origins)):
        if "*" in values and config.auth.mode == "none":
            yield f'server.{key}: "*" lets any web page use this gateway, since auth.mode is none'
