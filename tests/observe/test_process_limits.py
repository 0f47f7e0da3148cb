"""Limits of memory and CPU, read from control groups as the kernel writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from proxy.observe.process_limits import ProcessLimits, cpu_limit, memory_limit

GIB = 1 << 30
MACHINE = {"proc/meminfo": "MemTotal:        8388608 kB\nMemFree:         1000000 kB\n"}
SERVICE = {"proc/self/cgroup": "0::/system.slice/sluice.service\n"}
CONTAINER = {"proc/self/cgroup": "0::/\n"}
VERSION_1 = {"proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/x\n"}
SLICE = "sys/fs/cgroup/system.slice"
OWN = f"{SLICE}/sluice.service"


def tree(root: Path, *files: Mapping[str, str]) -> Path:
    for path, text in [item for each in files for item in each.items()]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, 8 * GIB),
        (CONTAINER, 8 * GIB),
        (CONTAINER | {"sys/fs/cgroup/memory.max": f"{GIB}\n"}, GIB),
        (CONTAINER | {"sys/fs/cgroup/memory.max": "max\n"}, 8 * GIB),
        (CONTAINER | {"sys/fs/cgroup/memory.max": f"{16 * GIB}\n"}, 8 * GIB),
        (SERVICE | {f"{OWN}/memory.max": f"{2 * GIB}\n"}, 2 * GIB),
        (SERVICE | {f"{OWN}/memory.max": "max\n", f"{SLICE}/memory.max": f"{GIB}\n"}, GIB),
        (VERSION_1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
        (VERSION_1 | {"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712\n"}, 8 * GIB),
        ({"proc/self/cgroup": "0::/../../other\n", "sys/fs/cgroup/memory.max": f"{GIB}\n"}, GIB),
        ({"proc/self/cgroup": "nonsense\n", "sys/fs/cgroup/memory.max": f"{GIB}\n"}, 8 * GIB),
    ],
)
def test_the_smallest_memory_limit_applies(files: dict[str, str], limit: int, tmp_path: Path) -> None:
    assert memory_limit(tree(tmp_path, MACHINE, files)) == limit


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 1.0),
        (CONTAINER | {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 1.0),
        (CONTAINER | {"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        (CONTAINER | {"sys/fs/cgroup/cpu.max": "400000 100000\n"}, 1.0),
        (CONTAINER | {"sys/fs/cgroup/cpu.max": "0 100000\n"}, 1.0),
        (CONTAINER | {"sys/fs/cgroup/cpu.max": "\n"}, 1.0),
        (SERVICE | {f"{OWN}/cpu.max": "max 100000\n", f"{SLICE}/cpu.max": "25000 100000\n"}, 0.25),
        (
            VERSION_1
            | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "20000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            0.2,
        ),
        (
            VERSION_1
            | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            1.0,
        ),
        (VERSION_1 | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "20000\n"}, 1.0),
    ],
)
def test_the_smallest_quota_applies_up_to_one_core(files: dict[str, str], cores: float, tmp_path: Path) -> None:
    assert cpu_limit(tree(tmp_path, MACHINE, files)) == cores


def test_an_unknown_memory_limit_is_left_out(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
    assert [family.name for family in ProcessLimits(tmp_path).collect()] == ["gateway_cpu_limit_cores"]


def test_limits_are_read_at_each_scrape(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(ProcessLimits(tree(tmp_path, MACHINE, CONTAINER)))
    assert b"\ngateway_memory_limit_bytes 8.589934592e+09\n" in generate_latest(registry)
    tree(tmp_path, {"sys/fs/cgroup/memory.max": f"{GIB}\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"})
    text = generate_latest(registry)
    assert b"\ngateway_memory_limit_bytes 1.073741824e+09\n" in text
    assert b"\ngateway_cpu_limit_cores 0.5\n" in text


def test_this_machine_has_limits() -> None:
    assert 0 < cpu_limit() <= 1
    assert (memory_limit() or 1) > 0
