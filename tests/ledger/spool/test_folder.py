from __future__ import annotations

import os
from pathlib import Path

from proxy.ledger.spool.folder import SegmentName, memory_folder, segment_names, used_bytes
from proxy.ledger.spool.locks import lock
from tests.ledger.spool.spools import SEGMENT, reader, writer


def test_segments_are_listed_in_the_order_of_writing(tmp_path: Path) -> None:
    names = [SegmentName(nonce * 16, number) for nonce in "0f" for number in (1, 2, 10, 99_999_999, 100_000_000)]
    for name in reversed(names):
        (tmp_path / name.file).touch()
    (tmp_path / "recorder.lock").touch()
    assert segment_names(tmp_path) == names


def test_segments_of_all_gateways_count_and_other_files_do_not(tmp_path: Path) -> None:
    for _ in range(3):
        writer(tmp_path)
    (tmp_path / SegmentName("0" * 16, 1).unfinished).write_bytes(b"12345")
    (tmp_path / "recorder.lock").write_bytes(b"12345")
    assert used_bytes(tmp_path) == 3 * SEGMENT + 5


def test_gateway_and_recorder_find_the_same_memory_folder(tmp_path: Path) -> None:
    assert memory_folder(tmp_path) == memory_folder(Path(os.path.relpath(tmp_path)).absolute())
    assert memory_folder(tmp_path) != memory_folder(tmp_path / "other")


def test_a_segment_that_was_never_finished_is_removed(tmp_path: Path) -> None:
    (tmp_path / SegmentName("0" * 16, 1).unfinished).touch()
    os.utime(tmp_path / SegmentName("0" * 16, 1).unfinished, (1, 1))
    (tmp_path / SegmentName("0" * 16, 2).unfinished).touch()  # may be finished yet
    locked = tmp_path / SegmentName("0" * 16, 3).unfinished
    with locked.open("w") as file:
        assert lock(file.fileno())
        os.utime(locked, (1, 1))
        reader(tmp_path)
    assert sorted(path.name[-5] for path in tmp_path.iterdir()) == ["2", "3"]
