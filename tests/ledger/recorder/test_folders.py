"""The spool on the disk and in memory as one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.ledger.recorder.folders import SpoolFolders, has_left, has_segments, is_recorded, lock_recorder
from proxy.ledger.recorder.status import RecorderStatus, read_status, write_status
from proxy.ledger.spool.folder import make_memory_folder, memory_folder
from tests.ledger.recorder.fakes import WritingGateway

STATUS = RecorderStatus(1, 2.0, 3.0, True, 2.0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "spool"
    shutil.rmtree(memory_folder(tmp_path / "spool"), ignore_errors=True)


def gateway_in_memory(disk: Path) -> WritingGateway:
    """As if the disk could not be written."""
    return WritingGateway(make_memory_folder(disk))


def test_segments_in_both_folders_are_read_and_removed(disk: Path) -> None:
    on_disk, in_memory = WritingGateway(disk), gateway_in_memory(disk)
    on_disk.close(on_disk.open())
    in_memory.close(in_memory.open())
    folders = SpoolFolders(disk, print)
    assert {batch.segment.gateway for batch in folders.read(1000)} == {on_disk.spool.nonce, in_memory.spool.nonce}
    assert folders.read(1000) == []
    assert [state.alive for state in folders.gateways().values()] == [True, True]
    folders.sync()
    assert folders.used_bytes() == 2 * 4096
    for gateway in (on_disk, in_memory):
        gateway.end()
    folders.read(1000)
    for state in folders.gateways().values():
        assert not state.alive
        assert state.drained
        for segment in state.segments:
            folders.forget(segment.name)
    assert not has_segments(disk)
    folders.close()


def test_a_gateway_that_left_the_disk_is_dead_only_when_it_is_dead_in_memory(disk: Path) -> None:
    before = WritingGateway(disk)
    before.open()
    after = gateway_in_memory(disk)
    after.open()
    folder = memory_folder(disk)
    for path in folder.glob("*.seg"):  # the same process, as if it had gone on there
        path.rename(folder / path.name.replace(after.spool.nonce, before.spool.nonce))
    before.die()
    folders = SpoolFolders(disk, lambda text: None)
    while folders.read(1000):
        pass
    (state,) = folders.gateways().values()
    assert state.alive
    assert len(state.segments) == 2
    after.die()
    while folders.read(1000):
        pass
    (state,) = folders.gateways().values()
    assert not state.alive
    folders.close()


def test_a_folder_that_appears_and_vanishes_is_noticed(disk: Path) -> None:
    folders = SpoolFolders(disk, print)
    assert folders.read(1000) == []
    gateway = WritingGateway(disk)
    gateway.open()
    assert len(folders.read(1000)) == 1
    gateway.end()
    shutil.rmtree(disk)
    assert folders.read(1000) == []
    assert folders.gateways() == {}


def test_without_a_disk_the_lock_and_the_status_are_in_memory(disk: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lock_recorder(disk)
    assert read_status(disk) is None
    make_memory_folder(disk)
    lock = lock_recorder(disk)
    assert lock is not None
    assert is_recorded(disk)
    assert lock_recorder(disk) is None
    lock.release()
    write_status(disk, STATUS)
    assert read_status(disk) == STATUS


def test_what_an_ended_gateway_left_is_behind_until_it_is_removed(disk: Path) -> None:
    living, dead = WritingGateway(disk), gateway_in_memory(disk)
    assert not has_left(disk)
    living.open()
    dead.close(dead.open())
    assert not has_left(disk)
    dead.die()
    assert has_left(disk)
    for path in memory_folder(disk).glob("*.seg"):
        path.unlink()
    assert not has_left(disk)
    living.end()
    assert has_left(disk)
