"""Attempts that are settled while the segment of their open record stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.ledger.recorder.journal import SettledJournal
from proxy.ledger.spool.folder import SegmentName, make_memory_folder, memory_folder

ONE = SegmentName("0123456789abcdef", 1)
TWO = SegmentName("0123456789abcdef", 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for segment in (ONE, TWO):
        (tmp_path / segment.file).touch()
    return tmp_path


def test_what_was_noted_is_known_after_a_restart(folder: Path) -> None:
    journal = SettledJournal(folder)
    assert journal.load() == set()
    journal.note({ONE: ["a", "b"], TWO: ["c"]})
    journal.note({ONE: ["d"]})
    assert SettledJournal(folder).load() == {"a", "b", "c", "d"}


def test_ids_go_with_their_segment(folder: Path) -> None:
    journal = SettledJournal(folder)
    journal.note({ONE: ["a"], TWO: ["b"]})
    (folder / ONE.file).unlink()
    journal.forget(ONE)
    assert SettledJournal(folder).load() == {"b"}
    (folder / TWO.file).unlink()  # and the process is killed
    assert SettledJournal(folder).load() == set()
    assert list(folder.iterdir()) == []


def test_the_end_of_a_file_that_was_being_written_is_no_id(folder: Path) -> None:
    SettledJournal(folder).note({ONE: ["a1", "a2"]})
    path = folder / ONE.file.replace(".seg", ".settled")
    path.write_bytes(path.read_bytes()[:-1])
    journal = SettledJournal(folder)
    assert journal.load() == {"a1"}
    journal.note({ONE: ["a23"]})
    assert SettledJournal(folder).load() == {"a1", "a23"}


def test_a_folder_that_cannot_be_written_is_replaced_by_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def open_(path: Path, flags: int, *rest: int) -> int:
        if Path(path).parent == folder and flags & os.O_CREAT:
            raise OSError(30, "Read-only file system")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", open_)
    memory = memory_folder(folder)
    try:
        SettledJournal(folder).note({ONE: ["a"]})
        assert SettledJournal(folder).load() == {"a"}
        monkeypatch.setattr("proxy.ledger.recorder.journal.make_memory_folder", lambda _: folder)
        with pytest.raises(OSError, match="Read-only"):
            SettledJournal(folder).note({ONE: ["b"]})
    finally:
        for path in memory.iterdir():
            path.unlink()
        memory.rmdir()


def test_a_segment_in_memory_keeps_its_ids(folder: Path) -> None:
    (folder / ONE.file).unlink()
    memory = make_memory_folder(folder)
    try:
        (memory / ONE.file).touch()
        SettledJournal(folder).note({ONE: ["a"]})
        assert SettledJournal(folder).load() == {"a"}
    finally:
        (memory / ONE.file).unlink()
        memory.rmdir()


def test_a_disk_that_is_full_leaves_whole_ids(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SettledJournal(folder)
    journal.note({ONE: ["a"]})
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:-2]))
        patch.setattr("proxy.ledger.recorder.journal.make_memory_folder", lambda _: folder)
        with pytest.raises(OSError, match="cannot be written whole"):
            journal.note({ONE: ["b1"]})
    journal.note({ONE: ["b12"]})
    assert SettledJournal(folder).load() == {"a", "b12"}
