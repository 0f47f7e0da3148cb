"""``sluice health``: whether the gateway of this configuration answers, for the health checks of containers.

A container runtime runs it every few seconds, so it imports little and reads only the configuration of the listener. It
does not check the rest: a file with a mistake changes nothing for a running gateway.
"""

from __future__ import annotations

import argparse
import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from proxy.config.schema import ServerSettings

TIMEOUT_SECS = 3.0
MOST = 16 * 1024  # bytes of an answer


class Target(NamedTuple):
    """Where to ask. ``path``: of the unix socket, then host and port are unused. ``prefix``: of the request's path.

    ``verify``: whether the certificate must be valid. That of our own listener names other hosts than loopback.
    ``proxies``: of ``server.trustedProxies``, if connections from there need a PROXY protocol header. ``certificate``
    and ``key``: files of our own certificate; ``""``: none, or a key in the same file.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    prefix: str = ""
    tls: bool = False
    verify: bool = False
    proxies: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.prefix}"


def main(arguments: argparse.Namespace) -> int:
    """Ask the gateway. Returns 0, or 1 after one sentence on stderr."""
    from proxy.errors import ConfigError

    try:
        target = target_of(arguments.url) if arguments.url else configured(arguments)
        target = with_certificate(target, arguments.cert, arguments.key)
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1
    if complaint := probe(target, "/ready" if arguments.ready else "/health/live"):
        print(complaint, file=sys.stderr)
        return 1
    return 0


def configured(arguments: argparse.Namespace) -> Target:
    """The listener that ``serve`` with the same options has; ``admin.listen`` if we lack the certificate for the API's.

    Raises ConfigError.
    """
    import os

    from proxy.commands.loading import listening
    from proxy.config.environment import ENV_FILE
    from proxy.config.exposure import requires_certificate
    from proxy.config.listening import own_settings
    from proxy.config.loader import control_plane, listener
    from proxy.errors import ConfigError

    env_file = arguments.env_file or (ENV_FILE if ENV_FILE.exists() else None)
    server = listening(arguments, listener(arguments.config, os.environ, env_file))
    if requires_certificate(server) and not arguments.cert:
        admin = control_plane(arguments.config, os.environ, env_file)
        if not admin.listen:
            text = "a health check needs a client certificate: name it with --cert and --key, or set admin.listen"
            raise ConfigError([f"server.tls.clientCa: {text}"])
        server = own_settings(admin, server)
    return target_at(server)


def with_certificate(target: Target, certificate: str | None, key: str | None) -> Target:
    """``target`` with the files of ``--cert`` and ``--key``. Raises ConfigError if they cannot be used."""
    from proxy.errors import ConfigError

    if not certificate:
        if key:
            raise ConfigError(["--key: needs --cert, the file of the certificate"])
        return target
    import ssl

    try:
        # Without a password callback OpenSSL would prompt at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise ConfigError([f"--cert: {certificate} cannot be used: {error}"]) from None
    return target._replace(certificate=certificate, key=key or "")


def target_at(server: ServerSettings) -> Target:
    """Where this machine reaches the listener. Raises ConfigError for a port that only the process knows."""
    from proxy.config.listening import reachable_host
    from proxy.errors import ConfigError

    proxies = tuple(server.trusted_proxies) if server.proxy_protocol else ()
    if server.unix_socket:
        return Target(path=server.unix_socket, proxies=proxies)
    if not server.port:
        raise ConfigError(["server.port: 0 is any free port; name the address with --url"])
    return Target(reachable_host(server), server.port, tls=server.tls is not None, proxies=proxies)


def target_of(url: str) -> Target:
    """The target of ``--url``: http, https or ``unix:`` and a path. Raises ConfigError."""
    from proxy.errors import ConfigError

    if url.startswith("unix:"):
        return Target(path=unquote(url.removeprefix("unix:").removeprefix("//")))
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ConfigError([f"--url: {error}"]) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ConfigError(["--url: expected http://HOST:PORT, https://HOST:PORT or unix:/PATH"])
    return Target(parts.hostname, port, "", parts.path.rstrip("/"), parts.scheme == "https", True)


def probe(target: Target, path: str, timeout: float = TIMEOUT_SECS) -> str:
    """Send ``GET path``. Returns why the gateway is not well, in a sentence; ``""`` if the answer is 200."""
    try:
        with closing(_connected(target, timeout)) as connection:
            host = f"[{target.host}]" if ":" in target.host else target.host or "localhost"
            head = f"GET {target.prefix}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode("ascii"))
            answer = _read(connection)
    except TimeoutError:
        return f"{target} did not answer {path} within {timeout:g} s."
    except OSError as error:
        if "CERTIFICATE_REQUIRED" in str(getattr(error, "reason", "")):  # of ssl.SSLError
            return f"{target} requires a client certificate: name it with --cert and --key."
        return f"{target} cannot be reached: {error.strerror or error}."
    return _verdict(answer, f"{target}{'' if target.path else path}")


def _connected(target: Target, timeout: float) -> socket.socket:
    connection = _opened(target, timeout)
    try:
        if target.proxies:
            _introduce(connection, target.proxies)
        return _secured(connection, target) if target.tls else connection
    except BaseException:
        connection.close()
        raise


def _opened(target: Target, timeout: float) -> socket.socket:
    if not target.path:
        return socket.create_connection((target.host, target.port), timeout)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    try:
        connection.connect(target.path)
    except BaseException:
        connection.close()
        raise
    return connection


def _introduce(connection: socket.socket, proxies: tuple[str, ...]) -> None:
    """Send the PROXY protocol header of a health check, if the gateway expects one from this address."""
    from proxy.net.address import TrustedProxies
    from proxy.server.proxy_protocol import HEALTH_CHECK

    own = connection.getsockname()
    if TrustedProxies(proxies).trusts(str(own[0]) if isinstance(own, tuple) else ""):
        connection.sendall(HEALTH_CHECK)


def _secured(connection: socket.socket, target: Target) -> socket.socket:
    import ssl

    context = ssl.create_default_context()
    if not target.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if target.certificate:
        context.load_cert_chain(target.certificate, target.key or None, password=lambda: "")
    return context.wrap_socket(connection, server_hostname=target.host)


def _read(connection: socket.socket) -> bytes:
    answer = b""
    while len(answer) < MOST and (piece := connection.recv(MOST)):
        answer += piece
    return answer


def _verdict(answer: bytes, where: str) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not head.startswith(b"HTTP/1.") or not status:
        return f"{where} does not speak HTTP: it is not Sluice, or it is behind TLS."
    if status == [b"200"]:
        return ""
    shown = body.decode("utf-8", "replace")[:300].strip()
    text = "".join(character if character.isprintable() else " " for character in shown)
    return f"{where} answered {status[0].decode('ascii', 'replace')}: {text}"
