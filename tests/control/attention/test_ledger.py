"""Troubles of the ledger, by the status file that a recorder wrote."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.config.schema import Config, LedgerSettings
from proxy.control.attention.ledger import LedgerTroubles
from proxy.control.attention.trouble import Trouble
from proxy.control.health.components import ComponentHealth
from proxy.ledger.recorder.status import RecorderStatus, write_status
from proxy.ledger.spool import folder as spool
from proxy.ledger.spool.folder import memory_folder, spool_folder

UP, DOWN = ComponentHealth(True, 0.0), ComponentHealth(False, 7.0)
WELL = RecorderStatus(pid=1, started=5.0, at=9.0, database=True, since=5.0)
SEGMENT = "0123456789abcdef-00000001.seg"


async def found(folder: Path, status: RecorderStatus | None, recorder: ComponentHealth = UP, **ledger: Any) -> Any:
    config = Config(data_dir=str(folder), ledger=LedgerSettings(**ledger))
    if status is not None:
        spool_folder(folder).mkdir(exist_ok=True)
        write_status(spool_folder(folder), status)
    live: Any = SimpleNamespace(config=config)
    result: list[Trouble] = await LedgerTroubles(live, lambda: {"recorder": recorder}).find()
    return result


@pytest.mark.parametrize("status", [None, WELL])
async def test_a_recorder_that_works_or_was_not_needed_is_no_trouble(
    status: RecorderStatus | None, tmp_path: Path
) -> None:
    assert await found(tmp_path, status) == []


async def test_without_a_ledger_nothing_is_looked_at(tmp_path: Path) -> None:
    assert await found(tmp_path, replace(WELL, database=False), DOWN, enabled=False) == []


@pytest.mark.parametrize(
    ("status", "recorder", "why"),
    [
        (replace(WELL, database=False, error="no route"), DOWN, "the database takes no rows: no route; the spool is"),
        (WELL, DOWN, "the recorder does not run, and is started again, or hangs (process 1); the spool is"),
        (replace(WELL, waiting=12, behind_secs=40.0), UP, "12 rows wait for the database, the oldest for 40 s; the"),
    ],
)
async def test_rows_that_wait_are_a_warning(
    status: RecorderStatus, recorder: ComponentHealth, why: str, tmp_path: Path
) -> None:
    [trouble] = await found(tmp_path, status, recorder)
    assert (trouble.severity, trouble.what) == ("warning", "Ledger")
    assert trouble.why.startswith(why)
    assert trouble.since == (7.0 if recorder is DOWN else None)


async def test_where_rows_go_to_the_broker_it_is_named(tmp_path: Path) -> None:
    [trouble] = await found(tmp_path, replace(WELL, database=False, error="blocked"), DOWN, mode="events")
    assert trouble.why.startswith("the broker takes no rows: blocked; the spool is")


@pytest.mark.parametrize(("policy", "then"), [("refuse", "requests are refused"), ("forget", "is not recorded")])
async def test_a_spool_that_is_nearly_full_is_an_error(policy: str, then: str, tmp_path: Path) -> None:
    spool_folder(tmp_path).mkdir()
    (spool_folder(tmp_path) / SEGMENT).write_bytes(bytes(950_000))
    assert spool.segment_names(spool_folder(tmp_path))
    [trouble] = await found(tmp_path, WELL, DOWN, spool_mb=1.0, on_full=policy)
    assert trouble.severity == "error"
    assert "the spool is 91% full" in trouble.why
    assert trouble.why.endswith(then)


async def test_attempts_without_a_row_are_counted(tmp_path: Path) -> None:
    [trouble] = await found(tmp_path, replace(WELL, rejected=3, error="numeric overflow"))
    assert (trouble.severity, trouble.count, trouble.since) == ("warning", 3, 5.0)
    assert trouble.why == "3 attempts have no row: numeric overflow"


async def test_records_in_memory_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shared := tmp_path / "shm").mkdir()
    monkeypatch.setattr(spool, "SHARED_MEMORY", shared)
    memory = memory_folder(spool_folder(tmp_path))
    memory.mkdir()
    assert await found(tmp_path, None) == []
    (memory / SEGMENT).touch()
    [trouble] = await found(tmp_path, None)
    assert trouble.why.startswith("the data directory cannot be written")
