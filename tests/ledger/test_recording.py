"""From a call to its row: a gateway as a process, with its recorder."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.recorder.databases import make_file
from tests.support import Chunk, Headers, Upstream, Wait, chat_events, completion, json_answer
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import GatewayProcess, one_provider
from tests.support.patience import until
from tests.support.recorder import recorder_ended, recorder_works

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def config(up: Upstream, folder: Path) -> dict[str, Any]:
    return one_provider(up, dataDir=str(folder), ledger={"enabled": True}, server={"drainSecs": 5})


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A data directory with a database, so that no migrations run."""
    await make_file(tmp_path / "sluice.db")
    return tmp_path


def rows(folder: Path) -> list[tuple[str, int]]:
    """End and status of each attempt, in order."""
    with closing(sqlite3.connect(folder / "sluice.db")) as connection:
        return connection.execute('SELECT "end", status FROM ledger ORDER BY at, id').fetchall()


async def test_a_gateway_that_is_stopped_by_ctrl_c_leaves_rows_and_no_process(folder: Path) -> None:
    async with Upstream() as up, GatewayProcess(config(up, folder)) as gw:
        client = await gw.client()
        for _ in range(2):
            up.queue(json_answer(completion()))
            await client.fetch("POST", CHAT, json=CALL)
        await recorder_works(folder / "spool")
        gw.signal(signal.SIGINT)
        assert await gw.wait() == 0
    await recorder_ended(folder / "spool")
    assert rows(folder) == [("ok", 200), ("ok", 200)]


async def test_a_second_ctrl_c_leaves_rows_of_what_was_known(folder: Path) -> None:
    go = asyncio.Event()
    async with Upstream() as up, GatewayProcess(config(up, folder) | {"server": {"drainSecs": 60}}) as gw:
        streaming, waiting, health = await gw.client(), await gw.client(), await gw.client()
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello", " world")[:2]), Wait(go)])
        await streaming.request("POST", CHAT, json=CALL | {"stream": True})
        await until(lambda: len(up.requests) == 1, "the stream")
        assert (await streaming.read_head()).status == 200
        for _ in range(2):
            await streaming.read_event()
        up.queue([Wait(go)])
        await waiting.request("POST", CHAT, json=CALL)
        await until(lambda: len(up.requests) == 2, "the call")
        await recorder_works(folder / "spool")
        gw.signal(signal.SIGINT)
        while (await health.fetch("GET", "/ready")).status != 503:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        gw.signal(signal.SIGINT)
        assert await gw.wait() == 130
        await recorder_ended(folder / "spool")
    assert rows(folder) == [("broken", 200), ("ours", 0)]
    with closing(sqlite3.connect(folder / "sluice.db")) as connection:
        found = connection.execute("SELECT usage_source, output FROM ledger ORDER BY at").fetchall()
    # How much the provider wrote unseen is estimated by the time that it had.
    assert [source for source, _ in found] == ["estimated", "estimated"]
    assert found[0][1] == 2


async def test_kill_9_of_a_gateway_leaves_each_attempt_its_row(folder: Path) -> None:
    go = asyncio.Event()
    async with Upstream() as up, GatewayProcess(config(up, folder)) as gw:
        client = await gw.client()
        up.queue(json_answer(completion()))
        await client.fetch("POST", CHAT, json=CALL)
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello")), Wait(go)])
        await client.request("POST", CHAT, json=CALL | {"stream": True})
        await until(lambda: len(up.requests) == 2, "the stream")
        await gw.kill()
        await recorder_ended(folder / "spool")
        assert rows(folder) == [("ok", 200), ("lost", 0)]
