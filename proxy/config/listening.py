"""The listeners' settings and URLs."""

from __future__ import annotations

from msgspec.structs import replace

from proxy.config.schema import Admin, ServerSettings

_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # wildcard addresses, and what to connect to on this machine


def own_settings(admin: Admin, server: ServerSettings) -> ServerSettings:
    """The listener of ``admin.listen``: as the API's, with another address.

    It reads no PROXY protocol and asks for no client certificate. Operators, scrapers and health checks connect to it
    directly, often from the machine of the proxy, and the admin token protects it.
    """
    tls = server.tls and replace(server.tls, client_ca="", client_auth="require")
    server = replace(server, proxy_protocol=False, tls=tls)
    if admin.listen.startswith("unix:"):
        return replace(server, unix_socket=admin.listen.removeprefix("unix:"), unix_socket_mode="", tls=None)
    host, _, port = admin.listen.rpartition(":")
    return replace(server, unix_socket="", host=host, port=int(port))


def host_and_port(server: ServerSettings, port: int) -> str:
    """As in a URL; ``port`` is the bound one."""
    return f"{f'[{server.host}]' if ':' in server.host else server.host}:{port}"


def address(server: ServerSettings, port: int) -> str:
    """The URL, or ``unix:`` and the socket's path."""
    if server.unix_socket:
        return f"unix:{server.unix_socket}"
    return f"{_scheme(server)}://{host_and_port(server, port)}"


def reachable_host(server: ServerSettings) -> str:
    """The host that this machine connects to, without brackets."""
    return _ANY.get(server.host, server.host).strip("[]")


def browser_address(server: ServerSettings, port: int) -> str:
    """As ``address``, with a host that works in a browser on this machine."""
    if not server.unix_socket and server.host in _ANY:
        return f"{_scheme(server)}://{_ANY[server.host]}:{port}"
    return address(server, port)


def _scheme(server: ServerSettings) -> str:
    return "https" if server.tls is not None else "http"
