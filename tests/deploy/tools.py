"""The programs of ``deploy/locks/deploy.txt``, in a virtual environment of their own, and the cache folder around it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.machine import missing, one_at_a_time

LOCK = Path(__file__).resolve().parents[2] / "deploy" / "locks" / "deploy.txt"
INSTALL_SECS = 600.0


def cache_folder() -> Path:
    """``SLUICE_DEPLOY_CACHE``, else ``sluice-deploy`` in the user's cache folder; it is made if it is missing."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("SLUICE_DEPLOY_CACHE") or Path(home) / "sluice-deploy")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tool(name: str) -> Path:
    """Path of a program of the lock. The environment is made at first use, and anew for another lock or Python."""
    path = _environment() / "bin" / name
    if not path.exists():
        pytest.fail(f"{name}: no package of {LOCK.name} has this program")
    return path


def site_packages() -> Path:
    """Where the lock's Python packages are; for ``sys.path``, as the environment has this Python."""
    (folder,) = _environment().glob("lib/python*/site-packages")
    return folder


@cache
def _environment() -> Path:
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache_folder() / f"tools-{wanted}"
    done = folder / "installed"
    with one_at_a_time("deploy-tools"):
        if not done.exists():
            for old in cache_folder().glob("tools-*"):
                shutil.rmtree(old)
            _run(sys.executable, "-m", "venv", str(folder))
            options = ("--disable-pip-version-check", "-qq", "--require-hashes", "--only-binary", ":all:")
            _run(str(folder / "bin" / "python"), "-m", "pip", "install", *options, "-r", str(LOCK))
            done.touch()
    return folder


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECS)
    if ran.returncode:
        missing(f"{' '.join(command)} failed: {ran.stderr.strip()[-1000:]}")
