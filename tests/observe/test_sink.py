from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from proxy.observe.sink import LIMIT, PIECE, LogSink
from tests.support.patience import PATIENCE, until, within


def notice(dropped: int) -> bytes:
    return b"lost %d\n" % dropped


class Pipe:
    """A standard output with a reader that can be blocked."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.stream: BinaryIO = os.fdopen(writing, "wb", buffering=0)

    def read(self) -> bytes:
        """What is there now."""
        pieces = []
        try:
            while piece := os.read(self.reading, 1 << 20):
                pieces.append(piece)
        except BlockingIOError:
            pass
        return b"".join(pieces)

    def close_reader(self) -> None:
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close_reader()
    pipe.stream.close()


def fill(sink: LogSink, line: bytes) -> int:
    """Lines until well beyond what the pipe and the buffer hold."""
    count = (LIMIT + (1 << 20)) // len(line)
    for _ in range(count):
        sink.put(line)
    return count


class Writes:
    """Counts the system calls, which run as ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        write = os.write

        def counted(fd: int, data: bytes) -> int:
            self.sizes.append(len(data))
            return write(fd, data)

        monkeypatch.setattr(os, "write", counted)


def gathering(pipe: Pipe) -> LogSink:
    sink = LogSink(pipe.stream, notice)
    sink.attach(asyncio.get_running_loop())
    return sink


async def test_lines_of_one_iteration_are_one_write(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(monkeypatch)
    sink = gathering(pipe)
    for number in range(50):
        sink.put(b"line %d\n" % number)
    assert writes.sizes == []
    await until(lambda: bool(writes.sizes), "the write")
    assert len(writes.sizes) == 1
    assert pipe.read().splitlines() == [b"line %d" % number for number in range(50)]


async def test_gathered_lines_are_written_every_time(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(monkeypatch)
    sink = gathering(pipe)
    for number in range(3):
        sink.put(b"%d\n" % number)
        await until(lambda number=number: len(writes.sizes) > number, "the write")
        assert pipe.read() == b"%d\n" % number


def test_without_a_loop_a_line_is_written_at_once(pipe: Pipe) -> None:
    LogSink(pipe.stream, notice).put(b"starting\n")
    assert pipe.read() == b"starting\n"


async def test_a_file_takes_everything_in_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(monkeypatch)
    with (tmp_path / "log").open("wb", buffering=0) as stream:
        sink = LogSink(stream, notice)
        sink.attach(asyncio.get_running_loop())
        for _ in range(1000):
            sink.put(b"x" * 99 + b"\n")
        sink.flush()
    assert writes.sizes == [100_000]
    assert (tmp_path / "log").stat().st_size == 100_000


async def test_a_pipe_gets_complete_lines_in_nonblocking_writes(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(monkeypatch)
    sink = gathering(pipe)
    for _ in range(100):
        sink.put(b"x" * 299 + b"\n")
    sink.flush()
    assert max(writes.sizes) <= PIECE
    assert all(size % 300 == 0 for size in writes.sizes)
    assert pipe.read() == (b"x" * 299 + b"\n") * 100


async def test_a_line_longer_than_a_write_arrives_complete(pipe: Pipe) -> None:
    sink = LogSink(pipe.stream, notice)
    line = b"x" * (3 * PIECE) + b"\n"
    sink.put(line)
    sink.put(b"next\n")
    sink.flush()
    assert pipe.read() == line + b"next\n"


def test_a_blocked_reader_delays_nothing_and_losses_are_reported_later(pipe: Pipe) -> None:
    sink = LogSink(pipe.stream, notice)
    line = b"x" * 999 + b"\n"
    put = fill(sink, line)
    received = b""
    while piece := pipe.read():
        received += piece
        sink.flush()
    report, kept = received.splitlines()[-1], received.splitlines()[:-1]
    assert set(kept) == {line[:-1]}
    assert report == b"lost %d" % (put - len(kept))
    assert 0 < len(kept) < put


async def test_a_blocked_reader_gets_the_rest_when_it_reads_again(pipe: Pipe) -> None:
    sink = LogSink(pipe.stream, notice)
    line = b"x" * 999 + b"\n"
    sink.attach(asyncio.get_running_loop())
    for _ in range(500):
        sink.put(line)
    received = bytearray()
    complete = asyncio.Event()

    def read() -> None:
        received.extend(pipe.read())
        if len(received) == 500 * len(line):
            complete.set()

    asyncio.get_running_loop().add_reader(pipe.reading, read)
    try:
        await within(complete.wait(), "all lines")
    finally:
        asyncio.get_running_loop().remove_reader(pipe.reading)
    assert bytes(received) == line * 500


def test_the_flush_of_the_stop_waits_for_a_slow_reader(pipe: Pipe) -> None:
    sink = LogSink(pipe.stream, notice)
    line = b"x" * 999 + b"\n"
    for _ in range(500):
        sink.put(line)
    received = bytearray()
    os.set_blocking(pipe.reading, True)

    def read() -> None:
        while len(received) < 500 * len(line):
            received.extend(os.read(pipe.reading, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    sink.flush(timeout=PATIENCE)
    reader.join(10)
    assert bytes(received) == line * 500


async def test_a_closed_pipe_raises_nothing(pipe: Pipe) -> None:
    sink = LogSink(pipe.stream, notice)
    pipe.close_reader()
    for _ in range(3):
        sink.put(b"discarded\n")
    sink.flush(timeout=PATIENCE)
    assert sink._dropped == 3
    assert not sink._pending


def test_lines_lost_to_an_error_are_reported_after_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with (tmp_path / "log").open("wb", buffering=0) as stream:
        sink = LogSink(stream, notice)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            sink.put(b"one\n")
            sink.put(b"two\n")
        sink.put(b"three\n")
    assert (tmp_path / "log").read_bytes() == b"three\nlost 2\n"


def test_a_closed_stream_raises_nothing() -> None:
    stream = io.BytesIO()
    sink = LogSink(stream, notice)
    stream.close()
    sink.put(b"discarded\n")
    sink.flush()
    assert sink._dropped == 1


async def test_gathered_lines_are_written_after_queued_ones(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Writes(monkeypatch)
    sink = gathering(pipe)
    sink.put(b"first\n")
    sink.write(b"second\nthird\n")
    assert pipe.read() == b"first\nsecond\nthird\n"
    assert len(writes.sizes) == 1


def test_gathered_lines_are_kept_up_to_the_bound(pipe: Pipe) -> None:
    sink = LogSink(pipe.stream, notice)
    line = b"x" * 999 + b"\n"
    put = fill(sink, line)
    sink.write(line * 10)
    received = b""
    while piece := pipe.read():
        received += piece
        sink.flush()
    report, kept = received.splitlines()[-1], received.splitlines()[:-1]
    assert report == b"lost %d" % (put + 10 - len(kept))


async def test_gathered_lines_are_written_once_a_blocked_reader_resumes(pipe: Pipe) -> None:
    sink = gathering(pipe)
    line = b"x" * 999 + b"\n"
    sink.write(line * 500)
    received = bytearray()

    def all_read() -> bool:
        received.extend(pipe.read())
        return len(received) == 500 * len(line)

    await until(all_read, "the rest of the lines")
    assert bytes(received) == line * 500


async def test_lines_of_other_threads_are_kept_intact(pipe: Pipe) -> None:
    sink = gathering(pipe)

    def put(name: bytes) -> None:
        for number in range(100):
            sink.put(b"%s %d\n" % (name, number))

    threads = [threading.Thread(target=put, args=(name,)) for name in (b"a", b"b")]
    for thread in threads:
        thread.start()
    put(b"loop")
    for thread in threads:
        thread.join(10)
    sink.flush()
    lines = pipe.read().splitlines()
    for name in (b"a", b"b", b"loop"):
        assert [line for line in lines if line.startswith(name)] == [b"%s %d" % (name, n) for n in range(100)]
