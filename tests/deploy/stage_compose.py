"""What the compose files configure, run for real on loopback: the programs are Debian's, the files those that are mounted.

Two gateways with the production configuration, on Redis and PostgreSQL, behind nginx with TLS. Container images and
networks are not part of this: the names of services are answered by a DNS server of the test.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import yaml

from tests.deploy.compose import DEPLOY, FILES, PRODUCTION, VALUES, environment, mounts, required, services
from tests.deploy.production import (
    ADMIN,
    DOMAIN,
    LIMIT,
    Fleet,
    fleet,
    listening,
    production_config,
    program_running,
    succeeds,
    text_of,
)
from tests.support import Chunk, Headers, LastChunk, Upstream, Wait, chat_events, completion, json_answer, within
from tests.support.answers import SSE_HEADERS
from tests.support.client import RawClient
from tests.support.gateway import Process
from tests.support.machine import debian_program
from tests.support.ports import free_port
from tests.support.services import postgres_database

CHAT = "/v1/chat/completions"
REQUESTS = 3 * LIMIT
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]}


# -- compose itself -----------------------------------------------------------------------------------


def compose(file: Path, folder: Path, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """``docker-compose config`` of Debian's version 1, which needs no engine. It does not know the key ``name`` yet."""
    program = debian_program("docker-compose", "docker-compose")
    copy = folder / file.name
    copy.write_text(re.sub(r"^name: .*\n", "", file.read_text(), flags=re.MULTILINE))
    environ = {"PATH": os.environ["PATH"]} | values
    command = [program, "-p", "sluice", "--project-directory", str(DEPLOY), "-f", str(copy), "config"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_compose_reads_the_file_and_fills_the_variables_in(file: Path, tmp_path: Path) -> None:
    ran = compose(file, tmp_path, VALUES if file == PRODUCTION else {})
    assert ran.returncode == 0, ran.stderr
    read = yaml.safe_load(ran.stdout)
    assert set(read["services"]) >= set(services(file)) - {"rabbitmq"}
    assert read["services"]["gateway"]["environment"] == {
        name: text or "" for name, text in environment(file, "gateway", VALUES).items()
    }


@pytest.mark.parametrize("name", required(PRODUCTION))
def test_compose_stops_without_a_required_variable(name: str, tmp_path: Path) -> None:
    ran = compose(PRODUCTION, tmp_path, {each: text for each, text in VALUES.items() if each != name})
    assert ran.returncode != 0
    assert required(PRODUCTION)[name] in ran.stderr


# -- Prometheus, Alertmanager -------------------------------------------------------------------------


def prometheus_files(folder: Path) -> Path:
    """The configuration, with the rules beside it as they are mounted."""
    for source, target in mounts(services(PRODUCTION)["prometheus"]):
        assert Path(target).parent == Path("/etc/prometheus")
        shutil.copy(DEPLOY / source, folder / Path(target).name)
    return folder / "prometheus.yml"


async def test_prometheus_accepts_its_configuration_with_the_mounted_rules(tmp_path: Path) -> None:
    file = prometheus_files(tmp_path)
    await succeeds(debian_program("promtool", "prometheus"), "check", "config", file.name, folder=tmp_path)


async def test_alertmanager_delivers_an_alert_to_the_address_of_the_variable(tmp_path: Path) -> None:
    program = debian_program("prometheus-alertmanager", "prometheus-alertmanager")
    (tmp_path / "alertmanager").symlink_to(program)  # the name that it has in its image
    # Without the wait for more alerts of the group.
    template = (DEPLOY / "compose" / "alertmanager.yml").read_text()
    assert "group_wait: 30s" in template
    (tmp_path / "template.yml").write_text(template.replace("group_wait: 30s", "group_wait: 0s"))
    port = free_port()
    async with Upstream() as receiver:
        receiver.on(lambda request: json_answer({}))
        url = f"{receiver.url}/hook?a=1&b=|\\2"  # what a replacement of sed would take for something else
        options = (f"--storage.path={tmp_path}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=")
        environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ALERT_WEBHOOK_URL": url}
        script = ("sh", str(DEPLOY / "compose" / "alertmanager.sh"), "template.yml", "alertmanager.yml")
        async with program_running(*script, *options, folder=tmp_path, environ=environ):
            await listening("127.0.0.1", port)
            amtool = debian_program("amtool", "prometheus-alertmanager")
            await succeeds(amtool, "check-config", "alertmanager.yml", folder=tmp_path)
            async with RawClient(port) as client:
                alert = {"labels": {"alertname": "SluiceDown", "job": "sluice", "severity": "critical"}}
                answer = await client.fetch("POST", "/api/v2/alerts", json=[alert])
                assert answer.status == 200, answer.body
            request = await receiver.request(0)
            await within(request.complete.wait(), "the whole alert")
            assert request.target == "/v1/hook?a=1&b=|\\2"
            assert request.json["alerts"][0]["labels"]["alertname"] == "SluiceDown"


@pytest.mark.parametrize("name", ["redis", "rabbitmq", "alertmanager", "backup-daily"])
def test_a_start_script_stops_without_its_variable(name: str, tmp_path: Path) -> None:
    command = ["sh", str(DEPLOY / "compose" / f"{name}.sh"), "template", str(tmp_path / "file")]
    ran = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60)
    assert ran.returncode != 0
    assert f"{name}.sh: " in ran.stderr
    assert "is missing" in ran.stderr


# -- nginx, the gateways, Redis, PostgreSQL -----------------------------------------------------------


def bearer(key: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {key}")]


async def served_by(gateway: Process, running: Fleet) -> float:
    """Calls that this gateway has counted."""
    async with RawClient((gateway.host, running.admin_port)) as client:
        text = (await client.fetch("GET", "/metrics")).body.decode()
    return sum(float(value) for value in re.findall(r"^llm_requests_total\{.*\} (\S+)$", text, re.MULTILINE))


async def test_production_serves_streams_keys_and_shared_limits_behind_tls(tmp_path: Path) -> None:
    """One fleet for all of these, as it takes seconds to start."""
    async with fleet(tmp_path) as running:
        key = await running.new_key()
        await health_checks_pass(running, tmp_path)
        await stream_is_not_buffered(running, key)
        await key_is_valid_at_each_gateway(running, key)
        await control_plane_is_not_public(running)
        await prometheus_reads_each_gateway(running, tmp_path)
        await limit_is_shared(running)
        await other_hosts_and_plain_http_are_refused(running)
        await restored_backup_has_the_keys(running, key, tmp_path)
        await other_gateway_serves_if_one_is_gone(running)
        shown = text_of(tmp_path / "access.log")
        assert "POST /v1/chat/completions" in shown
        assert VALUES["ADMIN_TOKEN"] not in shown


async def health_checks_pass(running: Fleet, folder: Path) -> None:
    """The command of the container, with the environment of the container."""
    check = services(PRODUCTION)["gateway"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "sluice"]
    for environ in running.environs:
        whole = environ | {"PATH": os.environ["PATH"], "PYTHONPATH": str(DEPLOY.parent)}
        await succeeds(sys.executable, "-m", "proxy", *check[2:], folder=folder, environ=whole)


async def stream_is_not_buffered(running: Fleet, key: str) -> None:
    """The provider sends an event only when the client has the one before."""
    events = chat_events("one", " two", " three")
    received = [asyncio.Event() for _ in events]

    def script() -> Iterator[Any]:
        yield Headers(200, SSE_HEADERS)
        for number, event in enumerate(events):
            yield Chunk(event)
            # The first event has the role and no content, so that the gateway holds it back.
            if 0 < number < len(events) - 2:
                yield Wait(received[number])
        yield LastChunk()

    running.upstream.on(lambda request: [*script()])
    async with running.client() as client:
        await client.request("POST", CHAT, headers=[("Host", DOMAIN), *bearer(key)], json=ASK | {"stream": True})
        head = await client.read_head()
        assert head.status == 200
        seen = 0
        while event := await client.read_event():
            if b"data:" in event:
                received[min(seen, len(received) - 1)].set()
                seen += 1
                if b"[DONE]" in event:
                    break
        assert seen >= len(events)
    running.upstream.on(lambda request: json_answer(completion("Hi")))


async def key_is_valid_at_each_gateway(running: Fleet, key: str) -> None:
    """It was made at the first one."""
    for gateway in running.gateways:
        async with RawClient((gateway.host, gateway.port)) as client:
            answer = await client.fetch("POST", CHAT, json=ASK, headers=bearer(key))
            assert answer.status == 200, answer.body
            refused = await client.fetch("POST", CHAT, json=ASK, headers=bearer("sk-wrong"))
            assert refused.status == 401


async def control_plane_is_not_public(running: Fleet) -> None:
    for path in (
        "/metrics",
        "/admin",
        "/admin/state",
        "/admin/login?token=x",
        "/auth/api-keys",
        "/%6detrics",
        "//metrics",
    ):
        answer = await running.fetch("GET", path, ADMIN)
        assert answer.status == 404, (path, answer.body)
    assert (await running.fetch("GET", "/ready")).status == 200
    # On the host's loopback: the admin API, but no metrics, which Prometheus takes from each gateway.
    assert (await running.admin("GET", "/metrics")).status == 404
    assert (await running.admin("GET", "/auth/api-keys")).status == 401
    assert (await running.admin("GET", "/auth/api-keys", headers=ADMIN)).status == 200
    assert (await running.admin("GET", "/admin/login?token=" + VALUES["ADMIN_TOKEN"])).status == 303
    for number, gateway in enumerate(running.gateways):
        async with RawClient((gateway.host, running.admin_port)) as client:
            # Prometheus names an address, as Docker's DNS gives it.
            scraped = await client.fetch("GET", "/metrics")
            assert scraped.status == 200, (number, scraped.body)
            assert b"gateway_build_info" in scraped.body


async def prometheus_reads_each_gateway(running: Fleet, folder: Path) -> None:
    """Its targets are named here, as it would ask the DNS server of the machine; it scrapes and evaluates quickly."""
    file = prometheus_files(folder)
    config = yaml.safe_load(file.read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = config["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [f"{each.host}:{running.admin_port}" for each in running.gateways]}]
    file.write_text(yaml.safe_dump(config))
    port = free_port()
    options = (f"--config.file={file}", f"--storage.tsdb.path={folder}", f"--web.listen-address=127.0.0.1:{port}")
    async with program_running(debian_program("prometheus", "prometheus"), *options, folder=folder):
        await listening("127.0.0.1", port)
        # Only of gateways that are up, with metrics of the process and of its limits.
        await within(prometheus_counts(port, "sluice:memory:ratio", len(running.gateways)), "a ratio of each gateway")
        await prometheus_counts(port, "up == 1", len(running.gateways))


async def prometheus_counts(port: int, expr: str, count: int) -> None:
    """Return once the expression has this many results."""
    found: list[Any] = []
    async with RawClient(port) as client:
        while len(found) != count:
            answer = await client.fetch("GET", f"/api/v1/query?query={quote(expr)}")
            found = answer.json["data"]["result"] if answer.status == 200 else []
            await asyncio.sleep(0.1)


async def limit_is_shared(running: Fleet) -> None:
    key = await running.new_key()
    before = [await served_by(gateway, running) for gateway in running.gateways]
    statuses = [(await running.fetch("POST", CHAT, bearer(key), json=ASK)).status for _ in range(REQUESTS)]
    # The bucket is refilled while the requests are sent, by one in six seconds. A limit of each would admit all.
    assert LIMIT <= statuses.count(200) <= LIMIT + 5
    assert statuses.count(200) + statuses.count(429) == len(statuses)
    for gateway, count in zip(running.gateways, before, strict=True):
        assert await served_by(gateway, running) > count


async def other_hosts_and_plain_http_are_refused(running: Fleet) -> None:
    async with running.client() as client:
        answer = await client.fetch("GET", "/v1/models", headers=[("Host", "rebound.example.com")])
        assert answer.status == 421
    async with RawClient(running.ports[8080]) as plain:
        answer = await plain.fetch("POST", CHAT, headers=[("Host", DOMAIN)], json=ASK)
        assert answer.status == 308
        assert answer.header("location") == f"https://{DOMAIN}{CHAT}"
        assert (await plain.fetch("GET", "/nginx-health")).status == 200


async def restored_backup_has_the_keys(running: Fleet, key: str, folder: Path) -> None:
    """A backup of the running gateways' database, which replaces what another database has."""
    environ = {"PATH": os.environ["PATH"]} | libpq(running.environs[0]["DATABASE_URL"]) | {"BACKUP_DIR": str(folder)}
    script = str(DEPLOY / "compose" / "backup-daily.sh")
    for day in ("01", "02", "03"):
        (folder / f"sluice-202601{day}T000000Z.dump").touch()
    await succeeds("sh", script, "--once", folder=folder, environ=environ | {"BACKUP_KEEP": "2"})
    old, dump = dumps(folder)
    assert old == "sluice-20260103T000000Z.dump"
    async with postgres_database() as other:
        config = production_config(folder / "restored", running.upstream, admin=f"127.0.0.1:{free_port()}")
        environ = running.environs[0] | {"DATABASE_URL": other, "ROUTER_CONFIG_PATH": str(config)}
        environ |= {"LISTEN_HOST": "127.0.0.1", "LISTEN_PORT": str(free_port())}
        async with Process(["serve"], environ=environ, folder=folder) as before:  # makes the tables
            assert await status_of(before, key) == 401
        options = ("--clean", "--if-exists", "--single-transaction")
        assert " ".join(options) in text_of(DEPLOY / "compose" / "README.md")
        restore = debian_program("pg_restore", "postgresql-client")
        await succeeds(restore, *options, f"--dbname={other}", dump, folder=folder)
        async with Process(["serve"], environ=environ, folder=folder) as after:
            assert await status_of(after, key) in (200, 429)


async def status_of(gateway: Process, key: str) -> int:
    async with RawClient((gateway.host, gateway.port)) as client:
        return (await client.fetch("POST", CHAT, json=ASK, headers=bearer(key))).status


def libpq(url: str) -> dict[str, str]:
    """The variables of PostgreSQL's programs for a database."""
    parts = urlsplit(url)
    given = {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port or 5432),
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
        "PGDATABASE": parts.path[1:],
    }
    return {name: value for name, value in given.items() if value}


def dumps(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("sluice-*"))


def test_a_failed_backup_leaves_the_others_and_says_so(tmp_path: Path) -> None:
    debian_program("pg_dump", "postgresql-client")
    (tmp_path / "sluice-20260101T000000Z.dump").touch()
    command = ["sh", str(DEPLOY / "compose" / "backup-daily.sh"), "--once"]
    environ = {"PATH": os.environ["PATH"], "PGHOST": str(tmp_path), "BACKUP_DIR": str(tmp_path)}
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert "backup-daily.sh: no backup of the database at " in ran.stderr
    assert dumps(tmp_path) == ["sluice-20260101T000000Z.dump"]
    ran = subprocess.run(command, env=environ | {"BACKUP_KEEP": "0"}, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert 'BACKUP_KEEP must be a number from 1, but is "0"' in ran.stderr


async def other_gateway_serves_if_one_is_gone(running: Fleet) -> None:
    """Its address is still an answer of the DNS server."""
    key = await running.new_key()
    await running.gateways[1].kill()
    for _ in range(8):
        assert (await running.fetch("POST", CHAT, bearer(key), json=ASK)).status == 200
