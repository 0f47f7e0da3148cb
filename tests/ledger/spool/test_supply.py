from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from proxy.ledger.full import SpoolFull
from proxy.ledger.spool.folder import memory_folder
from proxy.ledger.spool.place import SpoolUnavailable
from proxy.ledger.spool.segment import SegmentFile
from tests.ledger.spool.spools import SEGMENT, close, read_all, reader, writer


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /dev/shm."""
    path = tmp_path / "shm"
    path.mkdir()
    monkeypatch.setattr("proxy.ledger.spool.folder.SHARED_MEMORY", path)
    return path


@pytest.fixture
def impossible(tmp_path: Path) -> Path:
    """A folder that cannot be made, by root neither."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "spool"


def test_a_folder_that_cannot_be_made_is_replaced_by_memory(memory: Path, impossible: Path) -> None:
    notices: list[str] = []
    spool = writer(impossible, notices.append)
    spool.open(b"1")
    assert spool.in_memory
    assert spool.where == memory_folder(impossible)
    assert spool.where.parent == memory
    assert stat.S_IMODE(spool.where.stat().st_mode) == 0o700
    (text,) = notices
    assert str(impossible) in text
    assert str(spool.where) in text
    assert "Not a directory" in text
    assert read_all(reader(memory_folder(impossible))) == [("open", b"1")]


def test_without_memory_either_one_error_says_both(memory: Path, impossible: Path) -> None:
    memory.rmdir()
    with pytest.raises(SpoolUnavailable, match=r"Not a directory.*Memory cannot either.*missing"):
        writer(impossible)


def test_a_memory_folder_of_others_is_not_used(memory: Path, impossible: Path) -> None:
    memory_folder(impossible).mkdir(mode=0o777)
    memory_folder(impossible).chmod(0o777)
    with pytest.raises(SpoolUnavailable, match="only user"):
        writer(impossible)


def test_a_link_in_place_of_the_memory_folder_is_not_used(memory: Path, impossible: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    memory_folder(impossible).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpoolUnavailable, match="only user"):
        writer(impossible)


def test_a_disk_that_fails_later_is_left_and_its_segments_stay_locked(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[str] = []
    spool = writer(tmp_path / "spool", notices.append, in_thread=lambda call: call())
    spool.open(b"1")
    spool.open(bytes(SEGMENT // 2))
    spool.open(b"2")  # makes the next segment
    real = os.pwrite

    def fail(descriptor: int, data: bytes, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(tmp_path / "spool")):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", fail)
    close(spool, b"1")
    spool.open(b"3")
    assert spool.in_memory
    assert spool.full == ""
    assert "Read-only file system" in notices[0]
    on_disk, in_memory = reader(tmp_path / "spool"), reader(spool.where)
    assert read_all(on_disk) == [("open", b"1"), ("open", bytes(SEGMENT // 2)), ("open", b"2")]
    assert read_all(in_memory) == [("close", b"1"), ("open", b"3")]
    assert [found.gateways()[0].alive for found in (on_disk, in_memory)] == [True, True]
    spool.end()
    assert read_all(on_disk) == read_all(in_memory) == []
    assert [(g.nonce, g.alive, g.drained) for found in (on_disk, in_memory) for g in found.gateways()] == [
        (spool.nonce, False, True)
    ] * 2


def test_a_file_system_without_locks_is_left(tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = SegmentFile.create

    def create(folder: Path, *args: object, **options: object) -> SegmentFile:
        if folder == tmp_path / "spool":
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        return real(folder, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentFile, "create", create)
    notices: list[str] = []
    assert writer(tmp_path / "spool", notices.append).in_memory
    assert "No locks available" in notices[0]


def test_memory_that_fails_later_refuses_records(memory: Path, impossible: Path) -> None:
    spool = writer(impossible, lambda text: None)
    for file in spool.where.iterdir():
        file.unlink()
    spool.where.rmdir()
    for _ in range(3):
        spool.open(bytes(1000))
    with pytest.raises(SpoolFull, match="cannot be written: No such file"):
        spool.open(bytes(1000))
    assert spool.full
    close(spool, b"waits")
    assert spool.dropped == 0
