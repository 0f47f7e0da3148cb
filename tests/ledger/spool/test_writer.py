from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

import pytest

from proxy.ledger.full import SpoolFull
from proxy.ledger.spool.format import CLOSE, MOST_PAYLOAD, OPEN
from proxy.ledger.spool.writer import SpoolWriter
from tests.ledger.spool.spools import SEGMENT, Clock, close, only_gateway, read_all, reader, writer


def fill(spool: SpoolWriter, calls: Sequence[Callable[[], None]] = ()) -> int:
    """Open as many records of 300 bytes as there is space for. ``calls`` for a thread are made after each."""
    count = 0
    try:
        while True:
            spool.open(b"%03d" % count * 100)
            count += 1
            for call in calls:
                call()
    except SpoolFull:
        return count


def test_records_are_read_in_the_order_of_writing(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    spool.open(b"1")
    spool.open(b"2")
    close(spool, b"2")
    assert read_all(reader(tmp_path)) == [("open", b"1"), ("open", b"2"), ("close", b"2")]
    assert spool.where == tmp_path
    assert not spool.in_memory


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "spool"
    writer(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]


def test_a_segment_takes_its_space_when_it_is_made(tmp_path: Path) -> None:
    writer(tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == SEGMENT
    assert file.stat().st_blocks * 512 >= SEGMENT


def test_records_go_on_in_another_segment_when_one_is_full(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    records = [b"%03d" % number * 100 for number in range(40)]
    for record in records:
        spool.open(record)
    assert len(list(tmp_path.iterdir())) > 3
    assert [payload for _, payload in read_all(reader(tmp_path))] == records


def test_the_next_segment_is_made_ahead(tmp_path: Path) -> None:
    calls: list[Callable[[], None]] = []
    spool = writer(tmp_path, in_thread=calls.append)
    for number in range(1, 13):
        spool.open(bytes(492))
        assert len(calls) == (number > 4) + (number > 11)
        if number == 7:
            calls[0]()
        assert len(list(tmp_path.iterdir())) == 1 + (number >= 7)
    spool.end()
    calls[1]()  # late
    assert len(list(tmp_path.iterdir())) == 2


def test_a_thread_that_fails_to_make_a_segment_leaves_the_error_to_the_record_that_needs_it(tmp_path: Path) -> None:
    calls: list[Callable[[], None]] = []
    spool = writer(tmp_path, in_thread=calls.append, limit_bytes=SEGMENT, now=(clock := Clock()))
    opened = fill(spool, calls)
    assert opened > 10
    assert len(calls) == 1
    for number in range(opened):
        close(spool, b"%d" % number)
    clock.now += 1
    with pytest.raises(SpoolFull):
        spool.open(b"refused")


def test_the_end_removes_what_was_made_ahead_and_seals(tmp_path: Path) -> None:
    spool = writer(tmp_path, in_thread=lambda call: call())
    spool.open(bytes(SEGMENT // 2))
    spool.open(b"1")
    assert len(list(tmp_path.iterdir())) == 2
    spool.end()
    spool.end()
    assert len(list(tmp_path.iterdir())) == 1
    found = reader(tmp_path)
    assert len(read_all(found)) == 2
    gateway = only_gateway(found)
    assert (gateway.alive, gateway.drained, gateway.segments[0].sealed) == (False, True, True)


def test_a_record_after_the_end_is_an_error(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    spool.end()
    assert not spool.has_room()
    with pytest.raises(ValueError, match="ended"):
        spool.open(b"1")
    with pytest.raises(ValueError, match="ended"):
        close(spool, b"1")


def test_a_record_longer_than_a_segment_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        writer(tmp_path).open(bytes(SEGMENT))


def test_open_records_are_refused_at_the_limit_and_close_records_are_not(tmp_path: Path) -> None:
    clock = Clock()
    spool = writer(tmp_path, limit_bytes=2 * SEGMENT, now=clock)
    opened = fill(spool)
    assert "wait for the database" in spool.full
    for number in range(opened):
        close(spool, b"%03d" % number * 100)
    with pytest.raises(SpoolFull):
        spool.open(b"refused")
    clock.now += 1
    with pytest.raises(SpoolFull):
        spool.open(b"refused")
    found = reader(tmp_path)
    records = read_all(found)
    assert [payload for kind, payload in records if kind == "close"] == [b"%03d" % n * 100 for n in range(opened)]
    for segment in only_gateway(found).segments:
        if segment.drained:
            found.forget(segment.name)
    with pytest.raises(SpoolFull):  # it does not look each time
        spool.open(b"refused")
    clock.now += 1
    spool.open(b"accepted")
    assert spool.full == ""
    assert read_all(found) == [("open", b"accepted")]


def test_records_of_one_call_take_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, writes = writer(tmp_path), []
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda *given: writes.append(1) or real(*given))
    records = [(OPEN, b"1"), (OPEN, b"2"), (CLOSE, b"1")]
    spool.write(records)
    assert len(writes) == 1
    assert read_all(reader(tmp_path)) == [("open", b"1"), ("open", b"2"), ("close", b"1")]


def test_records_of_one_call_go_on_in_another_segment(tmp_path: Path) -> None:
    spool = writer(tmp_path)
    records = [(OPEN, b"%03d" % number * 100) for number in range(40)]
    spool.write(records)
    assert len(list(tmp_path.iterdir())) > 2
    assert [(OPEN, payload) for _, payload in read_all(reader(tmp_path))] == records


def test_promised_records_are_written_when_no_room_is_left_for_others(tmp_path: Path) -> None:
    spool = writer(tmp_path, limit_bytes=2 * SEGMENT)
    assert spool.has_room()
    fill(spool)
    assert not spool.has_room()
    promised = [(OPEN, b"%03d" % number * 100) for number in range(40)]
    spool.write(promised)
    assert not spool.has_room()
    assert [(OPEN, payload) for _, payload in read_all(reader(tmp_path))][-40:] == promised


def test_promised_records_wait_for_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    spool = writer(tmp_path, now=clock)
    assert spool.has_room()

    def full(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    records = [(OPEN, b"1"), (OPEN, b"2"), (CLOSE, b"1")]
    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        spool.write(records)
        assert not spool.has_room()
        with pytest.raises(SpoolFull, match="is full"):
            spool.open(b"refused")
    assert read_all(reader(tmp_path)) == []
    clock.now += 1
    spool.open(b"3")
    assert spool.dropped == 0
    assert [payload for _, payload in read_all(reader(tmp_path))] == [b"1", b"2", b"1", b"3"]


def test_the_limit_counts_segments_of_other_gateways(tmp_path: Path) -> None:
    one, other = (writer(tmp_path, limit_bytes=2 * SEGMENT) for _ in range(2))
    assert one.full == other.full == ""
    third = writer(tmp_path, limit_bytes=2 * SEGMENT)
    assert third.full
    with pytest.raises(SpoolFull):
        third.open(b"1")
    third.end()


def test_a_forked_child_holds_no_lock_and_cannot_write(tmp_path: Path) -> None:
    spool = writer(tmp_path, in_thread=lambda call: call())
    spool.open(bytes(SEGMENT // 2))
    spool.open(b"1")
    open_in_parent, ended = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        try:
            spool.open(b"of the child")
        except ValueError:
            os.write(open_in_parent[1], b"refused")
        os.read(ended[0], 1)
        os._exit(0)
    try:
        assert os.read(open_in_parent[0], 7) == b"refused"
        found = reader(tmp_path)
        assert only_gateway(found).alive
        spool._leave()  # as if the parent had been killed: its locks end, and the child lives
        assert len(read_all(found)) == 2
        gateway = only_gateway(found)
        assert (gateway.alive, gateway.drained, len(gateway.segments)) == (False, True, 2)
        assert not gateway.segments[0].sealed
    finally:
        os.write(ended[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*open_in_parent, *ended):
            os.close(descriptor)


def test_segments_made_in_real_threads_lose_no_record(tmp_path: Path) -> None:
    threads: list[Thread] = []

    def in_thread(call: Callable[[], None]) -> None:
        threads.append(Thread(target=call))
        threads[-1].start()

    spool = writer(tmp_path, in_thread=in_thread)
    records = [b"%d" % number + bytes(100) for number in range(1000)]
    for record in records:
        spool.open(record)
    spool.end()
    for thread in threads:
        thread.join()
    found = reader(tmp_path)
    assert [payload for _, payload in read_all(found)] == records
    assert all(segment.sealed for segment in only_gateway(found).segments)
    assert len(threads) > 10


def announce_all(spool: SpoolWriter) -> None:
    """Announce as many events of 100 bytes as there is space for."""
    try:
        while True:
            spool.announce(bytes(100))
    except SpoolFull:
        pass


def test_events_take_no_room_that_close_records_need(tmp_path: Path) -> None:
    spool = writer(tmp_path, limit_bytes=SEGMENT)
    spool.open(bytes(100))
    spool.announce(b"first")
    announce_all(spool)
    assert spool.full
    count = SEGMENT // 8 // 128
    for _ in range(count):
        close(spool, bytes(100))
    assert len([*tmp_path.iterdir()]) == 1
    kinds = [kind for kind, _ in read_all(reader(tmp_path))]
    assert kinds[:2] == ["open", "event"]
    assert kinds.count("close") == count
    assert spool.dropped == 0


def test_an_event_that_is_too_large_leaves_the_spool_as_it_is(tmp_path: Path) -> None:
    spool = writer(tmp_path, segment_bytes=1 << 20)
    with pytest.raises(ValueError, match="at most"):
        spool.announce(bytes(MOST_PAYLOAD + 1))
    spool.announce(b"small")
    assert read_all(reader(tmp_path)) == [("event", b"small")]
