"""The log file and its sink: rotation, and a disk that is full."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.observe.log import opened
from proxy.observe.logfile import REPORT_EVERY, LogFile
from proxy.observe.sink import LogSink


class Reports:
    """What a log file reports, and a clock for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []
        self.moment = 0.0

    def add(self, message: str, **fields: object) -> None:
        self.lines.append((message, fields))

    def now(self) -> float:
        return self.moment


class Disk:
    """``os.write`` with room for ``room`` bytes; ``None``: as ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if self.room is None:
            return self._write(fd, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(fd, data[: self.room])
        self.room -= written
        return written


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sluice.log"


@pytest.fixture
def file(path: Path, reports: Reports) -> Iterator[LogFile]:
    with LogFile(str(path), reports.add, reports.now) as file:
        yield file


@pytest.fixture
def sink(file: LogFile) -> LogSink:
    return LogSink(file, lambda lost: b"lost %d\n" % lost)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def contents(*files: Path) -> tuple[bytes, ...]:
    return tuple(file.read_bytes() for file in files)


def rotated(path: Path) -> Path:
    """``path`` under another name."""
    return path.rename(path.with_suffix(".1"))


def test_a_new_file_can_be_read_by_the_group_only(path: Path, reports: Reports) -> None:
    before = os.umask(0)
    try:
        LogFile(str(path), reports.add).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_lines_are_appended_and_modes_are_kept(path: Path, reports: Reports) -> None:
    path.write_bytes(b"before\n")
    path.chmod(0o600)
    with LogFile(str(path), reports.add) as file:
        LogSink(file, lambda lost: b"").put(b"after\n")
    assert path.read_bytes() == b"before\nafter\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_processes_append_to_one_file(path: Path, sink: LogSink, reports: Reports) -> None:
    with LogFile(str(path), reports.add) as other:
        others = LogSink(other, lambda lost: b"")
        for number in range(3):
            sink.put(b"a%d\n" % number)
            others.put(b"b%d\n" % number)
    assert path.read_bytes() == b"a0\nb0\na1\nb1\na2\nb2\n"


def test_a_renamed_file_is_used_until_it_is_opened_again(path: Path, sink: LogSink) -> None:
    sink.put(b"one\n")
    old = rotated(path)
    sink.put(b"two\n")
    sink.reopen()
    sink.put(b"three\n")
    assert contents(old, path) == (b"one\ntwo\n", b"three\n")


async def test_queued_lines_go_to_the_old_file(path: Path, sink: LogSink) -> None:
    sink.attach(asyncio.get_running_loop())
    sink.put(b"queued\n")
    old = rotated(path)
    sink.reopen()
    assert contents(old, path) == (b"queued\n", b"")


def test_it_is_not_passed_to_children_after_a_rotation(file: LogFile) -> None:
    assert file.reopen()
    assert not os.get_inheritable(file.fileno())


def test_rotations_leave_no_descriptor_open(path: Path, file: LogFile, sink: LogSink) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        rotated(path)
        sink.reopen()
    assert len(os.listdir("/proc/self/fd")) == before


def test_lines_of_other_threads_are_in_one_file_or_the_other_complete(path: Path, sink: LogSink) -> None:
    def put(name: bytes) -> None:
        for number in range(500):
            sink.put(b"%s %d\n" % (name, number))

    threads = [threading.Thread(target=put, args=(name,)) for name in (b"a", b"b")]
    for thread in threads:
        thread.start()
    olds = []
    for number in range(50):
        olds.append(path.rename(path.with_suffix(f".{number}")))
        sink.reopen()
    for thread in threads:
        thread.join()
    lines = b"".join(old.read_bytes() for old in [*olds, path]).splitlines()
    for name in (b"a", b"b"):
        assert [line for line in lines if line.startswith(name)] == [b"%s %d" % (name, n) for n in range(500)]


def test_a_path_that_cannot_be_opened_again_keeps_the_old_file(path: Path, sink: LogSink, reports: Reports) -> None:
    old = rotated(path)
    path.mkdir()
    sink.reopen()
    sink.put(b"still here\n")
    assert old.read_bytes() == b"still here\n"
    assert [fields for _, fields in reports.lines] == [{"file": str(path), "why": "Is a directory"}]


def test_a_full_disk_is_reported_once_and_raises_nothing(
    path: Path, sink: LogSink, reports: Reports, disk: Disk
) -> None:
    disk.room = 0
    for _ in range(5):
        sink.put(b"lost\n")
    assert [fields for _, fields in reports.lines] == [{"file": str(path), "why": "No space left on device"}]
    disk.room = None
    sink.put(b"after\n")
    assert path.read_bytes() == b"after\nlost 5\n"


def test_another_full_disk_is_reported_again_but_not_every_second(sink: LogSink, reports: Reports, disk: Disk) -> None:
    for moment, count in ((0.0, 1), (REPORT_EVERY - 1, 1), (REPORT_EVERY, 2)):
        reports.moment = moment
        disk.room = 0
        sink.put(b"lost\n")
        disk.room = None
        sink.put(b"written\n")
        assert len(reports.lines) == count


def test_a_line_that_a_full_disk_cut_is_completed_later(path: Path, sink: LogSink, disk: Disk) -> None:
    disk.room = 7
    sink.write(b"first\nsecond\nthird\n")
    assert path.read_bytes() == b"first\ns"
    sink.put(b"fourth\n")  # and the disk is still full
    disk.room = None
    sink.put(b"fifth\n")
    assert path.read_bytes() == b"first\nsecond\nfifth\nlost 2\n"


def test_the_rest_of_a_cut_line_does_not_begin_the_next_file(path: Path, sink: LogSink, disk: Disk) -> None:
    disk.room = 1
    sink.put(b"cut\n")
    old = rotated(path)
    sink.reopen()
    disk.room = None
    sink.put(b"whole\n")
    assert contents(old, path) == (b"c", b"whole\nlost 1\n")


def test_a_path_that_cannot_be_opened_is_one_sentence_with_the_key(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "sluice.log"
    with pytest.raises(ConfigError) as caught:
        opened(str(path), "info")
    (line,) = caught.value.mistakes
    assert line.startswith(f"observe.logFile: cannot open {path}: No such file or directory; ")


def test_a_pipe_without_a_reader_does_not_block_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"^observe\.logFile: cannot open .*/pipe: "):
        opened(str(tmp_path / "pipe"), "info")
