"""Resources that test processes share on a machine: programs, and mutually exclusive steps."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

INSTALL_SECS = 600.0  # some hundred megabytes


def missing(reason: str) -> NoReturn:
    """Skip the test because a requirement is missing; fail in CI."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{reason}, and in CI it has to be there")
    pytest.skip(reason)


@contextmanager
def one_at_a_time(step: str) -> Iterator[None]:
    """Wait until no other process of this user is within the same ``step``."""
    path = Path(tempfile.gettempdir()) / f"sluice-tests-{os.getuid()}-{step}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, also when the process is killed
        yield


@cache
def debian_program(name: str, package: str) -> str:
    """Path of a program of Debian's, which is installed first if need be and if we may (root with apt-get).

    Where it cannot be had, the test is skipped with the reason, and fails if ``CI`` is true.
    """
    with one_at_a_time("apt-get"):
        if shutil.which(name) is None:
            _install(name, package)
    return shutil.which(name) or missing(f"{name} cannot be found although {package} was installed")


def _install(name: str, package: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        missing(f"{name} is not installed, and only root may install it with apt-get")
    # RUNLEVEL=1: a server that comes with it is not started.
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update"], ["install", "--no-upgrade", "--no-install-recommends", package]):
        command = ["apt-get", "-qq", *arguments]
        try:
            ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=INSTALL_SECS)
        except subprocess.TimeoutExpired:
            missing(f"{' '.join(command)} took longer than {INSTALL_SECS:g} s")
        if ran.returncode:
            missing(f"{' '.join(command)} failed: {ran.stderr.strip()[-500:]}")
