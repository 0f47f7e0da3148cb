"""A second version of a client package, in a separate folder for a separate process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.machine import missing, one_at_a_time

ROOT = Path(__file__).parents[2]


def openai_1() -> Path:
    """Where openai 1.x stands with all that it needs; for PYTHONPATH. Installed once per environment and lock file.

    Without a package index the test is skipped with the reason, and fails if ``CI`` is true.
    """
    lock = ROOT / "deploy" / "locks" / "openai-1.txt"
    folder = Path(sys.prefix) / "openai-1"
    stamp = folder / lock.name
    with one_at_a_time("openai-1"):
        if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
            _install(lock, folder)
            stamp.write_bytes(lock.read_bytes())
    return folder


def _install(lock: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as parent:
        made = Path(parent, folder.name)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--retries", "1"]
        command = [*pip, "--target", str(made), "--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            missing(f"openai 1.x cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
