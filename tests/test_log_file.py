"""A gateway process with ``observe.logFile``: rotation while requests run, and paths that cannot be used."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support import Upstream, completion, json_answer, until, within
from tests.support.gateway import ROOT, GatewayProcess, Process, one_provider

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
ROTATIONS = 5
CLIENTS = 3


def lines(*files: Path) -> list[dict[str, Any]]:
    """Every line of these files. Each is complete JSON, and each file ends with one."""
    found = []
    for file in files:
        text = file.read_text()
        assert not text or text.endswith("\n")
        found += [json.loads(line) for line in text.splitlines()]
    return found


def exchanges(*files: Path) -> Counter[str]:
    return Counter(line["request_id"] for line in lines(*files) if line["event"] == "exchange")


def serving(up: Upstream) -> None:
    up.on_head(lambda request: json_answer(completion()))


async def test_renaming_the_file_while_requests_run_loses_and_splits_no_line(tmp_path: Path) -> None:
    path = tmp_path / "sluice.log"
    async with Upstream() as up, GatewayProcess(one_provider(up, observe={"logFile": str(path)})) as gw:
        serving(up)
        sent: Counter[str] = Counter()
        stop = asyncio.Event()

        async def requests(client_number: int) -> None:
            client = await gw.client()
            while not stop.is_set():
                answer = await client.fetch("POST", CHAT, json=CALL)
                sent[answer.header("x-request-id")] += 1

        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(requests(number))
            files = []
            for number in range(ROTATIONS):
                before = sum(sent.values())
                await until(lambda before=before: sum(sent.values()) > before + 10, "more requests")
                files.append(path.rename(tmp_path / f"sluice.log.{number}"))
                gw.signal(signal.SIGHUP)
                await until(path.exists, "the new file")
            stop.set()
        gw.signal(signal.SIGTERM)
        assert await gw.wait() == 0
    assert exchanges(*files, path) == sent
    assert all(exchanges(file) for file in files)
    assert not any("lost" in line.get("message", "") for line in lines(*files, path))
    assert not any('"event"' in line for line in gw.lines)  # nothing but the start lines is on the terminal


async def test_a_reload_is_logged_in_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "sluice.log"
    async with Upstream() as up:
        folder = tmp_path / "etc"
        folder.mkdir()
        config = one_provider(up, observe={"logFile": str(path)}, dataDir=str(tmp_path))
        file = folder / "config.yaml"
        file.write_text(json.dumps(config))
        async with Process(["serve", "--config", str(file), "--port", "0"]) as gw:
            old = path.rename(tmp_path / "old.log")
            file.write_text(json.dumps(config | {"observe": {"logFile": str(tmp_path / "other.log")}}))
            gw.signal(signal.SIGHUP)
            await until(lambda: path.exists() and "was loaded again" in path.read_text(), "the line of the reload")
            assert "loaded again" not in old.read_text()
            (waits,) = [line for line in lines(path) if "wait for the next start" in line.get("message", "")]
            assert waits["keys"] == ["observe.logFile"]
            assert not (tmp_path / "other.log").exists()


async def test_a_file_that_cannot_be_opened_again_is_reported_on_standard_error(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    path = folder / "sluice.log"
    async with Upstream() as up, GatewayProcess(one_provider(up, observe={"logFile": str(path)})) as gw:
        serving(up)
        moved = folder.rename(tmp_path / "moved") / "sluice.log"
        gw.signal(signal.SIGHUP)
        await until(lambda: "cannot be opened again" in str(gw.lines), "the report")
        client = await gw.client()
        assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        await until(lambda: exchanges(moved), "the line in the old file")


async def test_a_full_disk_stops_no_request_and_is_reported_once() -> None:
    observe = {"logFile": "/dev/full"}  # each write fails with ENOSPC, see full(4)
    async with Upstream() as up, GatewayProcess(one_provider(up, observe=observe)) as gw:
        serving(up)
        client = await gw.client()
        for _ in range(20):
            assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
        gw.signal(signal.SIGTERM)
        assert await gw.wait() == 0
    (report,) = [json.loads(line) for line in gw.lines if "cannot be written" in line]
    assert (report["level"], report["file"], report["why"]) == ("error", "/dev/full", "No space left on device")


async def test_a_folder_or_a_missing_folder_stops_the_start_with_one_line(tmp_path: Path) -> None:
    for place, text in (
        (tmp_path, f"observe.logFile: is a folder, not a file: {tmp_path}"),
        (tmp_path / "no" / "sluice.log", f"observe.logFile: cannot open {tmp_path}/no/sluice.log: No such file"),
    ):
        file = tmp_path / "config.yaml"
        file.write_text(json.dumps({"demo": "auto", "observe": {"logFile": str(place)}}))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "serve", "--config", str(file), "--port", "0"),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await within(process.communicate(), "the start to fail")
        (line,) = errors.decode().splitlines()
        assert text in line
        assert process.returncode == 1
