"""Memory and CPU that this process can use: limits of its control groups, else the machine's.

Containers and systemd units have a control group of their own.

Alerts compare the process's own figures with them: RSS with the memory, CPU time with the cores. They are read at each
scrape, because limits can be changed while the process runs.

Files: https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

# Cgroup v1 writes the largest multiple of the page size below 2^63 for "no limit".
_NO_LIMIT: Final = 1 << 60


class ProcessLimits(Collector):
    """Gauges for a registry. ``root`` is the folder that holds ``proc`` and ``sys``."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def collect(self) -> Iterator[GaugeMetricFamily]:
        memory = memory_limit(self._root)
        if memory is not None:
            text = "Memory that the process can use: the limit of its control group, else the machine's memory."
            yield GaugeMetricFamily("gateway_memory_limit_bytes", text, value=memory)
        text = "CPU cores that the process can use: 1, or less with a quota of its control group."
        yield GaugeMetricFamily("gateway_cpu_limit_cores", text, value=cpu_limit(self._root))


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes: the smallest of the limits of the process's control groups and the machine's memory. ``None``: unknown."""
    found = [
        *_numbers(_files(root, "", "memory.max")),
        *_numbers(_files(root, "memory", "memory.limit_in_bytes")),
        *_machine_memory(root),
    ]
    return min((number for number in found if 0 < number < _NO_LIMIT), default=None)


def cpu_limit(root: Path = Path("/")) -> float:
    """Cores: the smallest quota of the process's control groups, at most 1, because a gateway runs in one thread."""
    quotas = [1.0]
    for text in _texts(_files(root, "", "cpu.max")):  # "max 100000", or a quota and its period in microseconds
        quotas += _quota(*text.split()[:2])
    for file in _files(root, "cpu", "cpu.cfs_quota_us"):
        quotas += _quota(*_texts([file, file.with_name("cpu.cfs_period_us")]))
    return min(quotas)


def _quota(quota: str = "", period: str = "") -> Iterator[float]:
    # -1 and "max" are no limit.
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
        yield int(quota) / int(period)


def _files(root: Path, controller: str, name: str) -> Iterator[Path]:
    """The file of the process's control group and of each group above it. ``controller`` ``""``: version 2.

    A container may see its own group as the top one while its path is the host's. So missing files are no error.
    """
    for text in _texts([root / "proc/self/cgroup"]):
        for line in text.splitlines():
            fields = line.split(":", 2)  # hierarchy, controllers, path
            if len(fields) != 3 or controller not in fields[1].split(","):
                continue
            group = PurePosixPath(fields[2].lstrip("/"))
            if ".." in group.parts:  # a group outside of the namespace
                group = PurePosixPath()
            mount = root / "sys/fs/cgroup" / controller
            yield from (mount / each / name for each in (group, *group.parents))


def _machine_memory(root: Path) -> Iterator[int]:
    for text in _texts([root / "proc/meminfo"]):
        for line in text.splitlines():
            if line.startswith("MemTotal:"):  # in KiB
                yield int(line.split()[1]) * 1024


def _numbers(files: Iterable[Path]) -> Iterator[int]:
    return (int(text) for text in _texts(files) if text.isdecimal())


def _texts(files: Iterable[Path]) -> Iterator[str]:
    """Contents of the files that can be read."""
    for file in files:
        try:
            yield os.fsdecode(file.read_bytes()).strip()
        except OSError:
            continue
