"""Keep a core from idling, at idle priority.

A mostly idle core lowers its clock, and a virtual one returns to the host. The same work then takes up to twice the
CPU time, so the result would depend on the load and not on the proxy.
"""

from __future__ import annotations

import os

if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass
