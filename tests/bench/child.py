"""Child processes pinned to a core that always end with this process."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
PR_SET_PDEATHSIG = 1
URGENT = -15  # niceness if permitted, so that other work on the machine does not disturb
_prctl = ctypes.CDLL(None).prctl


def apart() -> None:
    """Continue in a child process with a separate session; the parent waits for it and exits.

    The scheduler weighs sessions against each other before it looks at niceness within one (autogroups, sched(7)): ours
    is given more weight where we may, so that what else the machine does is not in the numbers.
    """
    child = os.fork()
    if child:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: os.kill(child, signal.SIGTERM))
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, URGENT)
        Path("/proc/self/autogroup").write_text(str(URGENT))
    except OSError:
        pass  # not permitted or not supported here


def cores() -> tuple[int, int]:
    """(the proxies', the upstream's and the clients'): the same one if there is no second."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


class Child:
    """A started process; standard output and error go to ``log`` unless ``pipes``."""

    def __init__(
        self,
        command: Sequence[str],
        core: int,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        pipes: bool = False,
    ) -> None:
        def before_exec() -> None:
            _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            os.sched_setaffinity(0, {core})
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

        self.log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else sink,
                stderr=sink,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                preexec_fn=before_exec,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def running(self) -> bool:
        return self.process.poll() is None

    def last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return " / ".join(lines[-3:])[-500:] or "it said nothing"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
