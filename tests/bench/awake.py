"""Keeps its core from falling asleep, at idle priority.

A core that is idle three quarters of the time lowers its clock (a virtual one even gives itself back to the host), and
the same work then takes up to twice the CPU time: what is measured would depend on the load, not on the proxy.
"""

from __future__ import annotations

import os

if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass
