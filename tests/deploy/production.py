"""The services of compose.prod.yaml on loopback: two gateways on Redis and PostgreSQL, behind nginx with TLS.

Programs are Debian's, and files are those that are mounted, with ports, addresses and folders of the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.deploy.compose import DEPLOY, PRODUCTION, VALUES, environment
from tests.deploy.names import NameServer
from tests.support import Upstream, completion, json_answer, within
from tests.support.client import Answer, RawClient
from tests.support.gateway import Process
from tests.support.machine import debian_program
from tests.support.ports import free_port
from tests.support.secure import SecureClient
from tests.support.services import postgres_database
from tests.support.tls import Authority

ADMIN = [("Authorization", f"Bearer {VALUES['ADMIN_TOKEN']}")]
DOMAIN = VALUES["SLUICE_DOMAIN"]
LIMIT = 10  # requests per minute of a key


class Fleet(NamedTuple):
    """Two gateways behind nginx. Ports of nginx by those in its file."""

    upstream: Upstream
    gateways: list[Process]
    environs: list[dict[str, str]]  # of the gateways
    admin_port: int  # of each gateway, at its own address
    ports: dict[int, int]
    trust: ssl.SSLContext

    @asynccontextmanager
    async def client(self) -> AsyncIterator[SecureClient]:
        """A client of the API, with TLS."""
        async with SecureClient(self.ports[8443], self.trust) as client:
            yield client

    async def fetch(
        self, method: str, target: str, headers: list[tuple[str, str]] | None = None, **rest: Any
    ) -> Answer:
        async with self.client() as client:
            return await client.fetch(method, target, headers=[("Host", DOMAIN), *(headers or [])], **rest)

    async def admin(self, method: str, target: str, **rest: Any) -> Answer:
        """At the port of nginx that is published on loopback only."""
        async with RawClient(self.ports[9090]) as client:
            return await client.fetch(method, target, **rest)

    async def new_key(self) -> str:
        made = await self.admin("POST", "/auth/api-keys", headers=ADMIN, json={"name": "test"})
        assert made.status == 201, made.body
        key: str = made.json["key"]
        return key


@asynccontextmanager
async def fleet(folder: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        upstream.on(lambda request: json_answer(completion("Hi")))
        database = await stack.enter_async_context(postgres_database())
        redis = await stack.enter_async_context(redis_running(folder))
        ports = {port: free_port() for port in (8080, 8443, 9090, 9091, 3000)}
        api, admin = free_port(), free_port()
        given = environment(PRODUCTION, "gateway", VALUES) | {
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "SLUICE_FRONT_SUBNET": "127.0.0.1/32",
            "RATE_LIMIT_REQUESTS_PER_MINUTE": str(LIMIT),
            "LISTEN_PORT": str(api),
            "DATA_DIR": str(folder / "data"),
        }
        gateways, environs = [], []
        for number in (2, 3):
            host = f"127.0.0.{number}"
            config = production_config(folder / f"gateway-{number}", upstream, admin=f"{host}:{admin}")
            environs.append(given | {"LISTEN_HOST": host, "ROUTER_CONFIG_PATH": str(config)})
            process = Process(["serve"], environ=environs[-1], folder=folder)
            gateways.append(await stack.enter_async_context(process))
        addresses = ["127.0.0.2", "127.0.0.3"]
        names = NameServer({"api": addresses, "sluice-gateway-1": addresses[:1]})
        await stack.enter_async_context(names)
        authority = Authority()
        certs = folder / "certs"
        certs.mkdir()
        chain, key = authority.server_files(certs)
        chain.rename(certs / "fullchain.pem")
        key.rename(certs / "privkey.pem")
        rendered = nginx_config(folder, certs, ports, names.port, api=api, admin=admin)
        program = debian_program("nginx", "nginx")
        command = (program, "-e", "stderr", "-c", str(rendered), "-g", "daemon off;")
        await succeeds(*command, "-t", folder=folder)
        await stack.enter_async_context(program_running(*command, folder=folder))
        await listening("127.0.0.1", ports[8443])
        yield Fleet(upstream, gateways, environs, admin, ports, authority.client_context())


def production_config(folder: Path, upstream: Upstream, admin: str) -> Path:
    """The configuration of production, with one provider, and with another address of the control plane."""
    text = (DEPLOY / "compose" / "gateway" / "config.yaml").read_text()
    assert text.count("../../../config/models.yaml") == text.count("listen: 0.0.0.0:9090") == 1
    text = text.replace("../../../config/models.yaml", "models.yaml").replace(
        "listen: 0.0.0.0:9090", f"listen: {admin}"
    )
    folder.mkdir()
    provider = {"baseUrl": upstream.url, "apiKey": "secret-key"}
    (folder / "config.yaml").write_text(text + "\nproviders:\n  up: " + json.dumps(provider) + "\n")
    (folder / "models.yaml").write_text("models:\n  - {name: m, provider: up, model: up-model}\n")
    return folder / "config.yaml"


def nginx_config(folder: Path, certs: Path, ports: dict[int, int], names: int, *, api: int, admin: int) -> Path:
    """nginx.conf with the test's certificates, ports, DNS server and user; everything else is as it is mounted."""
    text = (DEPLOY / "compose" / "nginx.conf").read_text()
    for port, chosen in ports.items():
        text, count = re.subn(rf"listen {port}\b", f"listen 127.0.0.1:{chosen}", text)
        assert count == 1, port
    changes = {
        "/tmp/": f"{folder}/",
        "/etc/nginx/certs": str(certs),
        "resolver 127.0.0.11 valid=5s": f"resolver 127.0.0.1:{names} valid=1s",
        "api api:8080;": f"api api:{api};",
        "sluice-gateway-1:9090": f"sluice-gateway-1:{admin}",
        "/dev/stdout": str(folder / "access.log"),
        "user nginx;": "user root;",  # the folder of the test is closed to others
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 16384;": "worker_connections 512;",
        "worker_processes auto;": "worker_processes 1;",
    }
    for written, chosen in changes.items():
        assert written in text, written
        text = text.replace(written, chosen)
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


@asynccontextmanager
async def redis_running(folder: Path) -> AsyncIterator[str]:
    """Redis as redis.sh starts it; yields its URL, with the password."""
    debian_program("redis-server", "redis-server")
    port, password = free_port(), VALUES["REDIS_PASSWORD"]
    script = str(DEPLOY / "compose" / "redis.sh")
    environ = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": password}
    options = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder))
    async with program_running("sh", script, *options, folder=folder, environ=environ) as process:
        await listening("127.0.0.1", port)
        shown = command_line(process.pid)  # by `exec`, so that signals reach Redis itself
        assert "redis-server" in shown
        assert password not in shown
        yield f"redis://:{password}@127.0.0.1:{port}/0"


@asynccontextmanager
async def program_running(
    *command: str, folder: Path, environ: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that ends with the block, in its own folder."""
    log = folder / f"{Path(command[0]).name}-output.txt"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environ, stdout=output, stderr=output)
    try:
        yield process
        assert process.returncode is None, text_of(log)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await within(process.wait(), f"{command[0]} to end", lambda: text_of(log))
        except BaseException:
            process.kill()
            raise


async def succeeds(*command: str, folder: Path, environ: dict[str, str] | None = None) -> None:
    """Run a program to its end, which must be a success."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await within(process.communicate(), f"{command[0]} to end")
    assert process.returncode == 0, output.decode()


def text_of(file: Path) -> str:
    return file.read_text()


def command_line(pid: int) -> str:
    """As every user of the machine sees it."""
    return text_of(Path(f"/proc/{pid}/cmdline"))


async def listening(host: str, port: int) -> None:
    async def connect() -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    await within(connect(), f"a listener at {host}:{port}")
