"""The status file, on the disk and in memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from proxy.ledger.recorder.status import RecorderStatus, read_status, write_status
from proxy.ledger.spool.folder import memory_folder

STATUS = RecorderStatus(1, 2.0, 3.0, True, 2.0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "spool"
    shutil.rmtree(memory_folder(tmp_path / "spool"), ignore_errors=True)


def test_on_a_full_disk_the_status_goes_to_memory(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.mkdir()
    write_status(disk, STATUS)
    later, write, room = structs.replace(STATUS, at=STATUS.at + 1), os.write, [5]
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: room.pop()] if room else data))
    write_status(disk, later)
    assert read_status(disk) == later


def test_a_status_that_is_half_a_file_is_none(disk: Path) -> None:
    disk.mkdir()
    write_status(disk, STATUS)
    assert read_status(disk) == STATUS
    (disk / "recorder.json").write_bytes(b'{"pid": 1')
    assert read_status(disk) is None
