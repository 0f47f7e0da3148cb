"""CPU time and memory of a process and all its descendants, as the kernel accounts for them."""

from __future__ import annotations

import os
from pathlib import Path


def tree(pid: int) -> list[int]:
    """The process and its descendants that are alive."""
    pids = [pid]
    for parent in pids:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                pids.extend(map(int, children.read_text().split()))
            except OSError:
                pass  # the thread has just ended
    return pids


def cpu_ns(pid: int) -> int:
    """Time on a CPU in ns, from the scheduler's own count (Documentation/scheduler/sched-stats.rst), not clock ticks."""
    total = 0
    for each in tree(pid):
        for thread in Path(f"/proc/{each}/task").glob("*/schedstat"):
            try:
                total += int(thread.read_text().split()[0])
            except OSError:
                pass
    return total


def memory(pid: int) -> tuple[int, int]:
    """(resident, proportional) bytes of the tree; proportional shares pages among the processes that map them."""
    resident = proportional = 0
    for each in tree(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                resident += int(line.split()[1]) * 1024
            elif line.startswith("Pss:"):
                proportional += int(line.split()[1]) * 1024
    return resident, proportional


def busy_ns(core: int) -> int:
    """How long a core was not idle, in ns but counted in clock ticks: enough to detect other processes.

    Time of niced processes, such as `awake`, does not count.
    """
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, _nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
            ticks = user + system + irq + softirq + steal
            return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return 0
