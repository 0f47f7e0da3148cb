from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.format import VERSION
from proxy.ledger.spool.locks import is_locked
from tests.ledger.spool.spools import SEGMENT, close, only_gateway, read_all, reader, writer


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    spool, found = writer(tmp_path), reader(tmp_path)
    assert found.read() == []
    spool.open(b"1")
    assert read_all(found) == [("open", b"1")]
    assert found.read() == []
    for number in range(30):
        close(spool, b"%03d" % number * 100)
        assert read_all(found) == [("close", b"%03d" % number * 100)]
    gateway = only_gateway(found)
    assert (gateway.nonce, gateway.alive, gateway.drained) == (spool.nonce, True, False)
    assert [segment.drained for segment in gateway.segments] == [True] * (len(gateway.segments) - 1) + [False]


def test_a_look_returns_about_as_much_as_asked(tmp_path: Path) -> None:
    spool, found = writer(tmp_path, segment_bytes=1 << 20), reader(tmp_path)
    for _ in range(3000):
        spool.open(bytes(100))
    sizes = []
    while batches := found.read(10_000):
        sizes.append(sum(len(batch.records) for batch in batches))
    assert sum(sizes) == 3000
    assert len(sizes) >= 2


def test_segments_of_two_gateways_are_told_apart(tmp_path: Path) -> None:
    one, other, found = writer(tmp_path), writer(tmp_path), reader(tmp_path)
    one.open(b"of one")
    other.open(b"of the other")
    records = {batch.segment.gateway: [payload for _, payload in batch.records] for batch in found.read()}
    assert records == {one.nonce: [b"of one"], other.nonce: [b"of the other"]}
    one.end()
    found.read()
    assert {gateway.nonce: gateway.alive for gateway in found.gateways()} == {one.nonce: False, other.nonce: True}


def test_a_segment_is_removed_when_told_and_only_if_all_was_read(tmp_path: Path) -> None:
    spool, found = writer(tmp_path), reader(tmp_path)
    spool.open(b"1")
    spool.end()
    name = only_gateway(found).segments[0].name
    with pytest.raises(ValueError, match="not read"):
        found.forget(name)
    read_all(found)
    found.forget(name)
    assert list(tmp_path.iterdir()) == []
    assert found.gateways() == []
    with pytest.raises(KeyError):
        found.forget(name)


def test_another_reader_begins_with_what_is_left(tmp_path: Path) -> None:
    spool, first = writer(tmp_path), reader(tmp_path)
    records = [b"%03d" % number * 100 for number in range(40)]
    for record in records:
        spool.open(record)
    removed = first.read()[0]
    first.read()
    first.forget(removed.segment)
    first.close()
    left = records[len(removed.records) :]
    assert [payload for _, payload in read_all(reader(tmp_path))] == left


def test_a_torn_record_at_the_end_of_a_dead_segment_is_told(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    spool.open(b"whole")
    close(spool, b"torn" * 10)
    spool._leave()
    (file,) = tmp_path.iterdir()
    data = file.read_bytes()
    end = data.index(b"torn") + 9
    file.write_bytes(data[:end] + bytes(SEGMENT - end))
    notices: list[str] = []
    found = reader(tmp_path, notices.append)
    assert read_all(found) == [("open", b"whole")]
    (segment,) = only_gateway(found).segments
    assert segment.damage is not None
    assert segment.damage.torn
    assert len(notices) == 1
    found.forget(segment.name)
    assert list(tmp_path.iterdir()) == []


def test_damage_ends_a_dead_segment_is_told_once_and_kept(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    for record in (b"before", b"damaged", b"after"):
        spool.open(record)
    spool.end()
    (file,) = tmp_path.iterdir()
    data = file.read_bytes()
    file.write_bytes(data.replace(b"damaged", b"DAMAGED"))
    notices: list[str] = []
    found = reader(tmp_path, notices.append)
    assert read_all(found) == [("open", b"before")]
    found.read()
    (segment,) = only_gateway(found).segments
    assert (segment.drained, segment.sealed) == (True, False)
    assert segment.damage is not None
    assert not segment.damage.torn
    (text,) = notices
    assert f"{segment.damage.length} bytes from offset {segment.damage.offset}" in text
    found.forget(segment.name)
    (kept,) = tmp_path.iterdir()
    assert kept.suffix == ".damaged"
    assert found.read() == []


def test_what_looks_damaged_in_a_live_segment_may_still_be_written(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    spool.open(b"whole")
    spool.open(b"half")
    (file,) = tmp_path.iterdir()
    data = file.read_bytes()
    at = data.index(b"half")
    found = reader(tmp_path)
    with file.open("r+b") as other:
        other.seek(at)
        other.write(b"\0\0\0\0")
        other.flush()
        assert read_all(found) == [("open", b"whole")]
        other.seek(at)
        other.write(b"half")
    assert read_all(found) == [("open", b"half")]


def test_a_segment_of_a_newer_version_is_left_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("proxy.ledger.spool.format.VERSION", VERSION + 1)
        spool = writer(tmp_path)
    spool.open(b"in a new form")
    notices: list[str] = []
    found = reader(tmp_path, notices.append)
    assert read_all(found) == []
    assert only_gateway(found).alive
    spool.end()
    assert read_all(found) == []
    gateway = only_gateway(found)
    assert (gateway.alive, gateway.drained) == (False, False)
    assert f"version {VERSION + 1}" in notices[0]
    assert len(notices) == 1


@pytest.mark.parametrize("content", [b"", b"garbage" * 10, bytes(SEGMENT)])
def test_a_segment_without_a_header_is_told_if_anything_is_in_it(tmp_path: Path, content: bytes) -> None:
    name = SegmentName("0" * 16, 1)
    (tmp_path / name.file).write_bytes(content)
    notices: list[str] = []
    found = reader(tmp_path, notices.append)
    assert read_all(found) == []
    gateway = only_gateway(found)
    assert (gateway.alive, gateway.drained) == (False, True)
    assert len(notices) == any(content)
    found.forget(name)
    assert found.gateways() == []


def test_a_segment_under_another_name_is_damage(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    spool.open(b"1")
    spool.end()
    (file,) = tmp_path.iterdir()
    shutil.move(file, tmp_path / SegmentName("0" * 16, 1).file)
    notices: list[str] = []
    assert read_all(reader(tmp_path, notices.append)) == []
    assert "are no valid records" in notices[0]


def test_other_files_are_ignored(tmp_path: Path) -> None:
    for name in ("recorder.lock", "notes.txt", "0123456789abcdef-00000001.new", "x-00000001.seg"):
        (tmp_path / name).write_bytes(b"x")
    assert reader(tmp_path).gateways() == []


def test_only_what_is_new_is_synced(tmp_path: Path) -> None:
    spool, found = writer(tmp_path), reader(tmp_path)
    assert found.sync()
    found.sync()  # the clock of a file has steps: once more
    assert not found.sync()
    spool.open(b"1")
    os.utime(next(tmp_path.iterdir()))  # a step, without waiting for one
    assert found.sync()
    found.sync()
    assert not found.sync()
    spool.end()
    assert found.sync()
    assert not found.sync()
    assert read_all(found) == [("open", b"1")]


def test_a_long_backlog_takes_few_descriptors(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    for _ in range(60):
        spool.open(bytes(1500))
    before = len(os.listdir("/proc/self/fd"))
    found = reader(tmp_path)
    found.sync()
    found.read(1)
    found.gateways()
    assert len(os.listdir("/proc/self/fd")) <= before + 3
    found.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("sealed", [True, False])
def test_what_a_gateway_writes_right_before_its_death_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    spool, found = writer(tmp_path), reader(tmp_path)

    def die_first(descriptor: int) -> bool:
        monkeypatch.undo()
        close(spool, b"last")
        (spool.end if sealed else spool._leave)()
        return is_locked(descriptor)

    spool.open(b"1")
    monkeypatch.setattr("proxy.ledger.spool.follower.is_locked", die_first)
    assert read_all(found) == [("open", b"1"), ("close", b"last")]
    assert only_gateway(found).drained


def test_a_gateway_that_rotates_during_a_look_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, found = writer(tmp_path), reader(tmp_path)

    def rotate_first(descriptor: int) -> bool:
        monkeypatch.undo()
        for _ in range(4):
            spool.open(bytes(1000))
        return is_locked(descriptor)

    monkeypatch.setattr("proxy.ledger.spool.follower.is_locked", rotate_first)
    gateway = only_gateway(found)
    assert gateway.alive
    assert len(gateway.segments) == 2
