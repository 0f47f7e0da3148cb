"""Packages of npm, each set in a folder of its own in the cache folder of ``scripts/test-deploy``.

They take hundreds of megabytes, so one folder serves every checkout. Without a registry the tests that need them are
skipped, in CI too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.deploy.tools import cache_folder, tool
from tests.support.machine import one_at_a_time

FILES = ("package.json", "package-lock.json")
INSTALL_SECS = 600.0
# npm waits up to a minute before it repeats a request, and repeats two of them where there is no registry.
OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retry-maxtimeout=10000")


def search_path() -> str:
    """``PATH`` with the node that runs the packages before all others."""
    return f"{tool('node').parent}:{os.environ.get('PATH', os.defpath)}"


@cache
def modules(name: str, source: Path, finish: Callable[[Path], None] = lambda folder: None) -> Path:
    """The folder ``node_modules`` of the package.json in ``source``, in the versions of its lock file if it has one.

    It is made at first use, and anew for another package.json or lock. No scripts of packages run. ``finish`` does
    their work in the new folder. ``name`` begins the name of the folder in the cache, and of no other set's.
    """
    files = [source / each for each in FILES if (source / each).exists()]
    wanted = hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:16]
    folder = cache_folder() / f"{name}-{wanted}"
    with one_at_a_time("npm"):
        if not folder.exists():
            for old in cache_folder().glob(f"{name}-*"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=folder.parent) as parent:
                made = Path(parent, folder.name)
                made.mkdir()
                for each in files:
                    shutil.copy(each, made)
                run(made, tool("npm"), "ci" if len(files) > 1 else "install", *OPTIONS)
                finish(made)
                made.rename(folder)
    return folder / "node_modules"


def run(folder: Path, *command: Path | str, environ: Mapping[str, str] | None = None) -> None:
    """Run a step of an installation; skip the test if it fails. ``environ`` is added to our own."""
    line = " ".join(map(str, command))
    environment = os.environ | {"PATH": search_path()} | dict(environ or {})
    try:
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=INSTALL_SECS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{line} took longer than {INSTALL_SECS:g} s")
    if ran.returncode:
        pytest.skip(f"{line} failed: {ran.stderr.strip()[-1000:]}")
