"""The command line as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]

Sluice = Callable[..., subprocess.CompletedProcess[str]]


def sluice_in(folder: Path) -> Sluice:
    """Return a function that runs ``python -m proxy`` in ``folder``, with no environment but what it is given."""

    def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "proxy", *args]
        return subprocess.run(
            command, cwd=folder, env=path | environ, capture_output=True, text=True, timeout=4 * PATIENCE, check=False
        )

    return run
