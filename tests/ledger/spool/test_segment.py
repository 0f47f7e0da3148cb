from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.format import CLOSE, HEADER_BYTES, OPEN, PREFIX
from proxy.ledger.spool.segment import SegmentFile
from tests.ledger.spool.spools import SEGMENT, read_all, reader

NAME = SegmentName("0123456789abcdef", 1)


@pytest.fixture
def segment(tmp_path: Path) -> SegmentFile:
    return SegmentFile.create(tmp_path, NAME, SEGMENT, allocate=True)


def test_a_record_that_does_not_fit_changes_nothing(tmp_path: Path, segment: SegmentFile) -> None:
    assert segment.append([(OPEN, b"1")], segment.open_end)
    assert not segment.append([(OPEN, bytes(100))], segment.offset + 100)
    assert read_all(reader(tmp_path)) == [("open", b"1")]


def test_close_records_and_the_seal_have_room_behind_the_last_open_record(tmp_path: Path, segment: SegmentFile) -> None:
    while segment.append([(OPEN, b"x" * 50)], segment.open_end):
        pass
    while segment.append([(CLOSE, b"")], segment.size):
        pass
    closes = (segment.size - segment.open_end) // PREFIX
    segment.seal()
    records = read_all(reader(tmp_path))
    assert sum(kind == "close" for kind, _ in records) >= closes
    assert (tmp_path / NAME.file).stat().st_size == SEGMENT


def test_a_record_that_the_disk_cut_is_taken_back(
    tmp_path: Path, segment: SegmentFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:10], offset))
        with pytest.raises(OSError, match="No space left") as raised:
            segment.append([(OPEN, b"too much")], segment.size)
    assert raised.value.errno == errno.ENOSPC
    assert segment.offset == HEADER_BYTES
    assert segment.append([(OPEN, b"")], segment.size)
    assert read_all(reader(tmp_path)) == [("open", b"")]


def test_of_records_that_the_disk_cut_none_is_left(
    tmp_path: Path, segment: SegmentFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:30], offset))
        with pytest.raises(OSError, match="No space left"):
            segment.append([(OPEN, b"1"), (OPEN, b"2"), (OPEN, b"3" * 20)], segment.size)
    assert segment.append([(OPEN, b"4")], segment.size)  # ends where the second one began
    assert read_all(reader(tmp_path)) == [("open", b"4")]


def test_a_file_system_that_cannot_allocate_takes_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    segment = SegmentFile.create(tmp_path, NAME, SEGMENT, allocate=True)
    assert (tmp_path / NAME.file).stat().st_size == HEADER_BYTES
    found = reader(tmp_path)
    for number in range(3):
        segment.append([(OPEN, b"%d" % number)], segment.size)
        assert read_all(found) == [("open", b"%d" % number)]
    segment.seal()
    assert read_all(found) == []
    assert found.gateways()[0].segments[0].sealed


def test_nothing_is_left_of_a_segment_that_could_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No space left"):
        SegmentFile.create(tmp_path, NAME, SEGMENT, allocate=True)
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_discarded_segment_is_removed(tmp_path: Path, segment: SegmentFile) -> None:
    segment.discard()
    assert list(tmp_path.iterdir()) == []
