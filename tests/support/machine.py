"""Resources that test processes share on a machine: programs, and mutually exclusive steps."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
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
        if shutil.which(name) is None and (reason := install_packages(package)):
            missing(f"{name} is not installed: {reason}")
    return shutil.which(name) or missing(f"{name} cannot be found although {package} was installed")


def absent_packages(packages: Sequence[str]) -> list[str]:
    """Those that are not installed; all of them on a machine without dpkg."""
    if not packages or shutil.which("dpkg-query") is None:
        return list(packages)
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\n", *packages]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return [package for package in packages if f"installed {package}" not in lines]


def install_packages(*packages: str) -> str:
    """Install Debian packages; returns why they cannot be installed, or ``""``."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"only root on Debian can install {' '.join(packages)} with apt-get"
    # RUNLEVEL=1: a server that comes with it is not started.
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update"], ["install", "--no-upgrade", "--no-install-recommends", *packages]):
        command = ["apt-get", "-qq", *arguments]
        try:
            ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=INSTALL_SECS)
        except subprocess.TimeoutExpired:
            return f"{' '.join(command)} took longer than {INSTALL_SECS:g} s"
        if ran.returncode:
            return f"{' '.join(command)} failed: {ran.stderr.strip()[-500:]}"
    return ""
