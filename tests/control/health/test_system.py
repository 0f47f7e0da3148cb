"""Resources of the process, from /proc."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from proxy.control.health.system import ProcessStats


def test_processor_use_is_measured_since_the_previous_reading() -> None:
    moments, used = iter([10.0, 20.0, 22.0]), iter([1.0, 3.5, 4.5])
    system = ProcessStats(lambda: next(moments), lambda: next(used))
    first, second = system.read(), system.read()
    assert (first.cpu_seconds, first.cpu_percent) == (3.5, 25.0)
    assert (second.cpu_seconds, second.cpu_percent) == (4.5, 50.0)


def test_two_readings_at_the_same_time_have_no_percentage() -> None:
    system = ProcessStats(lambda: 5.0, lambda: 1.0)
    assert system.read().cpu_percent is None


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_memory_and_open_files_are_those_of_this_process() -> None:
    system = ProcessStats()
    before = system.read()
    assert before.memory is not None
    assert before.memory > 1024 * 1024
    assert before.open_files is not None
    handles = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
    try:
        assert system.read().open_files == before.open_files + 10
    finally:
        for handle in handles:
            os.close(handle)
    assert before.max_open_files == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@pytest.mark.parametrize("statm", [None, b"", b"7", b"x y z"])
def test_values_that_the_system_does_not_have_are_none(statm: bytes | None, tmp_path: Path) -> None:
    if statm is not None:
        (tmp_path / "statm").write_bytes(statm)
    usage = ProcessStats(proc=tmp_path).read()
    assert usage.memory is None
    assert usage.open_files is None


def test_the_resident_set_is_counted_in_pages(tmp_path: Path) -> None:
    (tmp_path / "statm").write_bytes(b"900 25 3 1 0 400 0\n")
    assert ProcessStats(proc=tmp_path).read().memory == 25 * resource.getpagesize()
