"""The systemd unit and the logrotate file: checked by systemd-analyze, and run by a real systemd with real gateways."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.deploy.booted import USER_ID, BootedSystemd
from tests.deploy.unit import UNIT, analyze, rendered, security
from tests.support import Upstream, Wait, chat_events, completion, json_answer, sse_answer, until, within
from tests.support.client import RawClient

SLUICE = Path(sys.executable).parent / "sluice"
CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TOKEN = "the-admin-token-of-a-test"
LOG = "/var/log/sluice/sluice.log"
ROTATIONS = 4
CLIENTS = 3


# -- the unit as a file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sluice.service", "sluice@.service"])
def test_the_unit_has_no_mistakes(name: str, tmp_path: Path) -> None:
    unit = rendered(tmp_path, SLUICE, name)
    assert analyze("verify", unit.with_name(name.replace("@", "@one"))) == (0, "")


def test_the_exposure_of_the_unit_is_low(tmp_path: Path) -> None:
    status, output = security(rendered(tmp_path, SLUICE))
    assert status == 0, output


def test_both_checks_find_a_mistake(tmp_path: Path) -> None:
    bad = rendered(
        tmp_path, SLUICE, "bad.service", "[Service]\nType=notfy\nExecStart=/opt/sluice/.venv/bin/sluice serve\n"
    )
    assert "notfy" in analyze("verify", bad)[1]
    assert security(bad)[0] == 1


# -- a booted systemd --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedSystemd]:
    with BootedSystemd(tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest.fixture
async def machine(booted: BootedSystemd) -> AsyncIterator[BootedSystemd]:
    """Every gateway is stopped at the end."""
    yield booted
    await booted.run("systemctl", "kill", "--signal=KILL", "sluice*.service")
    await booted.run("systemctl", "stop", "sluice*.service")
    await booted.run("systemctl", "reset-failed")


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hi")))
        yield upstream


def configure(machine: BootedSystemd, up: Upstream, unit: str = "sluice", **sections: Any) -> None:
    """The files of a unit: its configuration below /etc/sluice, and an environment file with the keys."""
    config = {
        "server": {"unixSocket": f"/run/{unit}/api.sock", "drainSecs": 60},
        "providers": {"up": {"baseUrl": up.url, "apiKey": "${UP_KEY}"}},
        "models": [{"name": "m", "provider": "up"}],
        "auth": {"mode": "keys"},
        "admin": {"token": "${ADMIN_TOKEN}"},
        "observe": {"logFile": LOG},
    } | sections
    folder = machine.path("/etc/sluice")
    (folder / f"{unit}.yaml").write_bytes(msgspec.yaml.encode(config))
    environ = folder / f"{unit}.env"
    environ.write_text(f"UP_KEY=key-of-the-file\nADMIN_TOKEN={TOKEN}\nROUTER_CONFIG_PATH=/etc/sluice/{unit}.yaml\n")
    environ.chmod(0o600)


def client(machine: BootedSystemd, unit: str = "sluice") -> RawClient:
    return RawClient(str(machine.path(f"/run/{unit}/api.sock")))


async def new_key(machine: BootedSystemd, unit: str = "sluice") -> list[tuple[str, str]]:
    """Make a key in the database; the header with it."""
    async with client(machine, unit) as own:
        headers = [("Authorization", f"Bearer {TOKEN}")]
        made = await own.fetch("POST", "/auth/api-keys", headers=headers, json={"name": "one"})
    assert made.status == 201, made.body
    return [("Authorization", f"Bearer {made.json['key']}")]


async def main_pid(machine: BootedSystemd, unit: str = "sluice") -> str:
    return await machine.show(unit, "MainPID")


async def test_the_unit_starts_and_serves_under_all_restrictions(machine: BootedSystemd, up: Upstream) -> None:
    configure(machine, up)
    await machine.succeeds("systemctl", "start", "sluice")  # returns after READY=1
    assert await machine.show("sluice", "StatusText") == "Listens on unix:/run/sluice/api.sock."
    key = await new_key(machine)
    async with client(machine) as own:
        answer = await own.fetch("POST", CHAT, headers=key, json=CALL)
    assert answer.status == 200
    assert up.requests[-1].header("authorization") == "Bearer key-of-the-file"
    pid = await main_pid(machine)
    lines = machine.path(f"/proc/{pid}/status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]  # a filter
    for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        assert int(status[name][0], 16) == 0
    assert set(status["Uid"]) == {str(USER_ID)}
    state, log = machine.path("/var/lib/sluice"), machine.path(LOG)
    assert (state / "sluice.db").stat().st_uid == log.stat().st_uid == USER_ID
    assert log.stat().st_mode & 0o777 == 0o640
    assert '"level":"error"' not in log.read_text()


async def test_every_extra_loads_under_all_restrictions(machine: BootedSystemd) -> None:
    """Libraries with code of their own: none of them needs memory that is writable and executable."""
    imports = "import jwt.algorithms, asyncpg, aiosqlite, hiredis, redis.asyncio, sentry_sdk, opentelemetry.sdk.trace"
    check = f"{imports}; jwt.encode({{}}, 32 * 'k'); print('extras are loaded')"
    command = f'ExecStart=\nExecStart=/opt/sluice/.venv/bin/python -c "{check}"\n'
    await machine.override("sluice@extras", f"Type=oneshot\nRestart=no\n{command}")
    await machine.succeeds("systemctl", "start", "sluice@extras")
    assert "extras are loaded" in machine.output


async def test_a_reload_keeps_the_process_and_applies_the_files(machine: BootedSystemd, up: Upstream) -> None:
    configure(machine, up)
    await machine.succeeds("systemctl", "start", "sluice")
    before = await main_pid(machine)
    configure(machine, up, models=[{"name": "new", "provider": "up"}])
    await machine.succeeds("systemctl", "reload", "sluice")
    key = await new_key(machine)

    async def names() -> list[str]:
        async with client(machine) as own:
            return [each["id"] for each in (await own.fetch("GET", "/v1/models", headers=key)).json["data"]]

    async def applied() -> None:
        while await names() != ["new"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    await within(applied(), "the new model", lambda: machine.output)
    assert await main_pid(machine) == before


async def test_a_mistake_stops_the_start_with_its_line(machine: BootedSystemd, up: Upstream) -> None:
    configure(machine, up, models=[{"name": "m", "provider": "nobody"}])
    status, _ = await machine.run("systemctl", "start", "sluice")
    assert status != 0
    assert 'models[0].provider: no provider "nobody"' in machine.output


async def replaced(machine: BootedSystemd, unit: str, before: str) -> None:
    """Wait until another process of the unit is ready."""

    async def look() -> None:
        while await main_pid(machine, unit) in ("0", before) or await machine.show(unit, "SubState") != "running":  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    await within(look(), "another process", lambda: machine.output[-2000:])


async def test_a_killed_gateway_is_replaced(machine: BootedSystemd, up: Upstream) -> None:
    configure(machine, up)
    await machine.succeeds("systemctl", "start", "sluice")
    before = await main_pid(machine)
    await machine.succeeds("systemctl", "kill", "--signal=KILL", "sluice")
    await replaced(machine, "sluice", before)
    await new_key(machine)


async def test_a_gateway_that_hangs_is_replaced_by_the_watchdog(machine: BootedSystemd, up: Upstream) -> None:
    configure(machine, up, "sluice@hangs")
    await machine.override("sluice@hangs", "WatchdogSec=4\nLimitCORE=0\n")
    await machine.succeeds("systemctl", "start", "sluice@hangs")
    before = await main_pid(machine, "sluice@hangs")
    await machine.succeeds("kill", "-STOP", before)
    await replaced(machine, "sluice@hangs", before)


async def test_running_requests_may_finish_even_after_the_stop_timeout_of_systemd(
    machine: BootedSystemd, up: Upstream
) -> None:
    go = asyncio.Event()
    events = chat_events("Hello", " world")
    head, *chunks = sse_answer(*events)
    configure(machine, up, "sluice@drains")
    await machine.override("sluice@drains", "TimeoutStopSec=1\n")
    await machine.succeeds("systemctl", "start", "sluice@drains")
    key = await new_key(machine, "sluice@drains")
    up.queue([head, *chunks[:2], Wait(go), *chunks[2:]])
    async with client(machine, "sluice@drains") as own:
        await own.request("POST", CHAT, headers=key, json=CALL | {"stream": True})
        assert (await own.read_head()).status == 200
        stopping = asyncio.create_task(machine.run("systemctl", "stop", "sluice@drains"))
        await asyncio.sleep(2.5)  # without EXTEND_TIMEOUT_USEC systemd would kill it after 1 s
        assert not stopping.done()
        go.set()
        assert [event for event in await own.read_events() if not event.startswith(b":")] == events
        await within(stopping, "the stop")
    assert await machine.show("sluice@drains", "Result") == "success"


def free_low_port() -> int:
    for port in range(1023, 512, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port below 1024 is free")


async def test_the_exception_of_the_readme_for_a_port_below_1024(machine: BootedSystemd, up: Upstream) -> None:
    _, _, text = (UNIT.parent / "README.md").read_text().partition("A port below 1024.")
    settings = text.partition("[Service]\n")[2].partition("```")[0]
    assert "CAP_NET_BIND_SERVICE" in settings
    await machine.override("sluice@low", settings)
    port = free_low_port()
    configure(machine, up, "sluice@low", server={"port": port})
    await machine.succeeds("systemctl", "start", "sluice@low")
    async with RawClient(port) as own:
        assert (await own.fetch("GET", "/ready")).status == 200


async def test_two_instances_have_their_own_files_and_share_the_database(machine: BootedSystemd, up: Upstream) -> None:
    one, two = "sluice@one", "sluice@two"
    for unit in (one, two):
        configure(machine, up, unit, observe={"logFile": f"/var/log/sluice/{unit}.log"})
        await machine.succeeds("systemctl", "start", unit)
    key = await new_key(machine, one)
    await machine.succeeds("systemctl", "stop", one)
    async with client(machine, two) as own:
        assert (await own.fetch("POST", CHAT, headers=key, json=CALL)).status == 200
    logs = machine.path("/var/log/sluice")
    await until(lambda: has_exchanges(logs / f"{two}.log"), "the line of the request")
    assert not has_exchanges(logs / f"{one}.log")


# -- logrotate ---------------------------------------------------------------------------------------------


def lines(file: Path) -> list[dict[str, Any]]:
    """Each is complete JSON, and the file ends with one."""
    text = (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).decode()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def request_ids(file: Path) -> Counter[str]:
    return Counter(line["request_id"] for line in lines(file) if line["event"] == "exchange")


def has_exchanges(file: Path) -> bool:
    return '"event":"exchange"' in file.read_text()


async def test_logrotate_under_load_loses_and_repeats_no_line(machine: BootedSystemd, up: Upstream) -> None:
    log = machine.path(LOG)
    for old in log.parent.glob("*"):
        old.unlink()
    configure(machine, up, auth={"mode": "none"})
    await machine.succeeds("systemctl", "start", "sluice")
    sent: Counter[str] = Counter()
    stop = asyncio.Event()

    async def requests() -> None:
        async with client(machine) as own:
            while not stop.is_set():
                sent[(await own.fetch("POST", CHAT, json=CALL)).header("x-request-id")] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(requests())
        for _ in range(ROTATIONS):
            await until(lambda: has_exchanges(log), "lines of requests")
            assert await machine.succeeds("logrotate", "--force", "/etc/logrotate.d/sluice") == ""
        await until(lambda: has_exchanges(log), "lines of requests in the last file")
        stop.set()
    await machine.succeeds("systemctl", "stop", "sluice")
    files = sorted(log.parent.iterdir())
    assert [file.name for file in files] == ["sluice.log", "sluice.log.1", *(f"sluice.log.{n}.gz" for n in (2, 3, 4))]
    assert sum(map(request_ids, files), Counter()) == sent
    assert all(map(request_ids, files))
    assert all(file.stat().st_uid == USER_ID for file in files)


async def test_logrotate_without_a_running_gateway_is_quiet(machine: BootedSystemd, up: Upstream) -> None:
    configure(machine, up, models=[{"name": "m", "provider": "nobody"}])
    await machine.run("systemctl", "start", "sluice")  # fails, and is in systemd's memory now
    await machine.run("systemctl", "stop", "sluice")
    machine.path("/var/log/sluice").mkdir(exist_ok=True)
    os.chown(machine.path("/var/log/sluice"), USER_ID, USER_ID)
    machine.path(LOG).write_text("{}\n")
    assert await machine.succeeds("logrotate", "--force", "/etc/logrotate.d/sluice") == ""
