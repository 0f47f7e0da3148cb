"""The files of deploy/proxies on loopback: each balancer with TLS in front of two gateways, a scripted provider behind.

Only the values of lines that are marked with CHANGE are replaced, or the variables that a file documents.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.deploy.compose import DEPLOY
from tests.deploy.http2 import Http2Client
from tests.deploy.production import program_running, succeeds
from tests.deploy.tools import tool
from tests.support import Authority, Upstream, completion, json_answer, within
from tests.support.gateway import GatewayProcess, one_provider
from tests.support.machine import debian_program, install_packages, missing, one_at_a_time
from tests.support.ports import free_ports
from tests.support.secure import SecureClient

PROXIES = DEPLOY / "proxies"
DOMAIN = "llm.example.com"
CHAT = "/v1/chat/completions"


class Places(NamedTuple):
    """What a file of the test has in the place of an operator's values."""

    folder: Path
    http: int
    https: int
    admin: int
    gateways: tuple[int, int]
    chain: Path
    key: Path


class Command(NamedTuple):
    """How a balancer is started, and how its own checker is. ``checker`` is empty where there is none."""

    start: tuple[str, ...]
    checker: tuple[str, ...] = ()
    environ: dict[str, str] | None = None


@dataclass(frozen=True)
class Balancer:
    name: str
    prepare: Callable[[Places], Command]  # writes the rendered files
    http2: bool = True
    redirects: bool = True  # from plain HTTP
    checks: bool = True  # asks /ready of each gateway
    proxy_protocol: bool = False

    def __str__(self) -> str:
        return self.name


def rendered(source: str, target: Path, changes: dict[str, str]) -> Path:
    """Copy a file of deploy/proxies. A line with CHANGE has to change, and no other line does."""
    lines, used = [], set()
    for line in (PROXIES / source).read_text().splitlines(keepends=True):
        changed = line
        if "CHANGE" in line and not line.startswith("#"):
            found = [written for written in changes if written in line]
            assert found, f"{source}: nothing to change in {line!r}"
            for written in found:
                changed = changed.replace(written, changes[written])
            used.update(found)
        lines.append(changed)
    assert used == set(changes), f"{source}: {set(changes) - used} stands in no line with CHANGE"
    target.write_text("".join(lines))
    return target


def _gateways(places: Places, form: str = "127.0.0.1:{}") -> dict[str, str]:
    return {form.format(8080 + number): form.format(port) for number, port in enumerate(places.gateways)}


# -- nginx ----------------------------------------------------------------------------------------------


def _nginx(places: Places) -> Command:
    rendered(
        "nginx/sluice.conf",
        places.folder / "sluice.conf",
        {
            **_gateways(places),
            "listen 80;": f"listen 127.0.0.1:{places.http};",
            "listen [::]:80;": f"listen 127.0.0.2:{places.http};",
            "listen 443 ": f"listen 127.0.0.1:{places.https} ",
            "listen [::]:443 ": f"listen 127.0.0.2:{places.https} ",
            "/etc/nginx/tls/fullchain.pem": str(places.chain),
            "/etc/nginx/tls/privkey.pem": str(places.key),
            f"server_name {DOMAIN}": f"server_name {DOMAIN}",
        },
    )
    temporary = "".join(
        f"{kind}_temp_path {places.folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return _nginx_command(places, f"http {{ {temporary} access_log off; include {places.folder}/sluice.conf; }}\n")


def _nginx_stream(places: Places) -> Command:
    rendered(
        "nginx/sluice-stream.conf",
        places.folder / "sluice-stream.conf",
        {
            **_gateways(places),
            "listen 443 ": f"listen 127.0.0.1:{places.https} ",
            "listen [::]:443 ": f"listen 127.0.0.2:{places.https} ",
            "/etc/nginx/tls/fullchain.pem": str(places.chain),
            "/etc/nginx/tls/privkey.pem": str(places.key),
        },
    )
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    debian_file(module, "libnginx-mod-stream")
    return _nginx_command(places, f"include {places.folder}/sluice-stream.conf;\n", f"load_module {module};\n")


def _nginx_command(places: Places, included: str, head: str = "") -> Command:
    """With a main file of the test. Two workers, as the files share state between workers."""
    user = "user root;\n" if os.geteuid() == 0 else ""  # the folder of the test is closed to others
    main = places.folder / "nginx.conf"
    main.write_text(
        f"{head}{user}worker_processes 2;\npid {places.folder}/nginx.pid;\nerror_log stderr info;\n"
        f"events {{ worker_connections 512; }}\n{included}"
    )
    start = (debian_program("nginx", "nginx"), "-e", "stderr", "-c", str(main), "-g", "daemon off;")
    return Command(start, (*start, "-t"))


def debian_file(path: str, package: str) -> None:
    """Have the package installed that has a file, as ``debian_program`` does for a program."""
    with one_at_a_time("apt-get"):
        if not Path(path).exists() and (reason := install_packages(package)):
            missing(f"{path} is not installed: {reason}")


# -- HAProxy --------------------------------------------------------------------------------------------


def _haproxy(places: Places) -> Command:
    return _haproxy_command(places, "haproxy.cfg", {"bind :80 ": f"bind 127.0.0.1:{places.http} "})


def _haproxy_tcp(places: Places) -> Command:
    return _haproxy_command(places, "haproxy-tcp.cfg", {})


def _haproxy_command(places: Places, name: str, changes: dict[str, str]) -> Command:
    both = places.folder / "both.pem"
    both.write_bytes(places.chain.read_bytes() + places.key.read_bytes())
    file = rendered(
        f"haproxy/{name}",
        places.folder / name,
        {
            **changes,
            **_gateways(places),
            "bind :443 ": f"bind 127.0.0.1:{places.https} ",
            "/etc/haproxy/tls/sluice.pem": str(both),
        },
    )
    start = (debian_program("haproxy", "haproxy"), "-f", str(file))
    return Command(start, (*start, "-c"))


# -- Caddy, Traefik, Envoy ------------------------------------------------------------------------------


def _caddy(places: Places) -> Command:
    file = str(PROXIES / "caddy" / "Caddyfile")
    program = str(tool("caddy"))
    environ = {
        "HOME": str(places.folder),
        "CADDY_ADMIN": f"127.0.0.1:{places.admin}",
        "SLUICE_GATEWAYS": " ".join(f"127.0.0.1:{port}" for port in places.gateways),
        "SLUICE_TLS": f"{places.chain} {places.key}",
        "HTTP_PORT": str(places.http),
        "HTTPS_PORT": str(places.https),
    }
    options = ("--config", file, "--adapter", "caddyfile")
    return Command((program, "run", *options), (program, "validate", *options), environ)


def _traefik(places: Places) -> Command:
    """It has no checker. With a file that it cannot read it starts without routes, and the tests fail."""
    routes = rendered(
        "traefik/sluice.yml",
        places.folder / "sluice.yml",
        {
            **_gateways(places, "http://127.0.0.1:{}"),
            "/etc/traefik/tls/fullchain.pem": str(places.chain),
            "/etc/traefik/tls/privkey.pem": str(places.key),
            DOMAIN: DOMAIN,
        },
    )
    file = rendered(
        "traefik/traefik.yml",
        places.folder / "traefik.yml",
        {
            '":80"': f'"127.0.0.1:{places.http}"',
            '":443"': f'"127.0.0.1:{places.https}"',
            "/etc/traefik/sluice.yml": str(routes),
        },
    )
    return Command((str(tool("traefik")), f"--configfile={file}"))


def _envoy(places: Places) -> Command:
    file = rendered(
        "envoy/envoy.yaml",
        places.folder / "envoy.yaml",
        {
            **{f"port_value: {8080 + number}": f"port_value: {port}" for number, port in enumerate(places.gateways)},
            "port_value: 9901": f"port_value: {places.admin}",
            'address: "::", port_value: 443, ipv4_compat: true': f"address: 127.0.0.1, port_value: {places.https}",
            "/etc/envoy/tls/fullchain.pem": str(places.chain),
            "/etc/envoy/tls/privkey.pem": str(places.key),
        },
    )
    # No hot restart: it shares memory with every other Envoy of the machine.
    start = (str(tool("envoy")), "-c", str(file), "--disable-hot-restart", "--log-level", "warning")
    return Command(start, (*start, "--mode", "validate"))


BALANCERS = (
    Balancer("nginx", _nginx, checks=False),
    Balancer("nginx-stream", _nginx_stream, http2=False, redirects=False, checks=False, proxy_protocol=True),
    Balancer("haproxy", _haproxy),
    Balancer("haproxy-tcp", _haproxy_tcp, http2=False, redirects=False, proxy_protocol=True),
    Balancer("caddy", _caddy),
    Balancer("traefik", _traefik),
    Balancer("envoy", _envoy, redirects=False),
)


# -- the site -------------------------------------------------------------------------------------------


class NamedClient(SecureClient):
    """A client that sends the name of the site in its Host header."""

    host = DOMAIN


@dataclass
class Site:
    """A running balancer. Gateway 0 calls the provider with the key ``key-0``, gateway 1 with ``key-1``."""

    balancer: Balancer
    places: Places
    upstream: Upstream
    authority: Authority
    stack: AsyncExitStack
    gateways: list[GatewayProcess] = field(default_factory=list)

    def client(self, source: str = "127.0.0.1") -> NamedClient:
        return NamedClient(self.places.https, self.authority.client_context(), name=DOMAIN, source=source)

    def http2(self, source: str = "127.0.0.1") -> Http2Client:
        return Http2Client(self.places.https, self.authority.client_context(), DOMAIN, source=source)

    async def start_gateway(self, number: int, *, delay: float) -> None:
        """Start a gateway at its port. ``delay``: its ``server.shutdownDelaySecs``."""
        source = one_provider(
            self.upstream,
            provider={"apiKey": f"key-{number}"},
            models=[{"name": "demo", "provider": "up", "model": "up-model"}],
            server={
                "allowedHosts": [DOMAIN],
                "trustedProxies": ["127.0.0.1"],
                "proxyProtocol": self.balancer.proxy_protocol,
                "shutdownDelaySecs": delay,
                "drainSecs": 60,
            },
        )
        gateway = GatewayProcess(source, ["--port", str(self.places.gateways[number])])
        self.gateways[number : number + 1] = [await self.stack.enter_async_context(gateway)]

    def lines(self) -> list[str]:
        """Output of the gateways that run now."""
        return [line for gateway in self.gateways for line in gateway.lines]


@asynccontextmanager
async def site(balancer: Balancer, folder: Path, *, delays: tuple[float, float] = (0, 0)) -> AsyncIterator[Site]:
    authority = Authority()
    chain, key = authority.server_files(folder, DOMAIN)
    ports = free_ports(5)
    places = Places(folder, ports[0], ports[1], ports[2], (ports[3], ports[4]), chain, key)
    command = balancer.prepare(places)  # first: it is skipped where the program cannot be had
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        upstream.on(lambda request: json_answer(completion(request.header("authorization") or "")))
        running = Site(balancer, places, upstream, authority, stack)
        for number, delay in enumerate(delays):
            await running.start_gateway(number, delay=delay)
        if command.checker:
            await succeeds(*command.checker, folder=folder, environ=command.environ)
        await stack.enter_async_context(program_running(*command.start, folder=folder, environ=command.environ))
        output = folder / f"{Path(command.start[0]).name}-output.txt"
        try:
            await within(_is_ready(running), f"{balancer} to serve", output.read_text)
            yield running
        except BaseException as error:
            error.add_note(f"Output of {balancer}:\n{output.read_text()[-4000:]}")
            error.add_note("\n".join(["Output of the gateways:", *running.lines()[-5:]]))
            raise


async def _is_ready(running: Site) -> None:
    while True:
        try:
            async with running.client() as client:
                answer = await client.fetch("GET", "/ready")
        except (OSError, AssertionError):
            pass
        else:
            if answer.status == 200:
                return
        await asyncio.sleep(0.05)


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": text}], **more}
