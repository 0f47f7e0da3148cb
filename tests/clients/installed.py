"""The npm packages of package-lock.json, and Node.js to run them, in the cache folder of ``scripts/test-deploy``.

They take 1 GB, so one folder serves every checkout. Without a registry the tests that need them are skipped, in CI too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.deploy.tools import cache_folder, tool
from tests.support.machine import one_at_a_time

FOLDER = Path(__file__).parent
FILES = ("package.json", "package-lock.json")
INSTALL_SECS = 600.0


def search_path() -> str:
    """``PATH`` with the node that runs the packages before all others."""
    return f"{tool('node').parent}:{os.environ.get('PATH', os.defpath)}"


def program(name: str) -> Path:
    """Path of a command of the packages."""
    return modules() / ".bin" / name


@cache
def modules() -> Path:
    """The folder ``node_modules``. It is made at first use, and anew for another lock."""
    wanted = hashlib.sha256(b"".join((FOLDER / name).read_bytes() for name in FILES)).hexdigest()[:16]
    folder = cache_folder() / f"npm-{wanted}"
    npm = tool("npm")
    with one_at_a_time("npm"):
        if not folder.exists():
            for old in cache_folder().glob("npm-*"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=folder.parent) as parent:
                made = Path(parent, folder.name)
                made.mkdir()
                for name in FILES:
                    shutil.copy(FOLDER / name, made)
                # No scripts of packages but the one that puts Claude Code's binary in its place.
                _run(made, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
                _run(made, tool("node"), "node_modules/@anthropic-ai/claude-code/install.cjs")
                made.rename(folder)
    return folder / "node_modules"


def _run(folder: Path, *command: Path | str) -> None:
    environ = os.environ | {"PATH": search_path()}
    line = " ".join(map(str, command))
    try:
        ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=INSTALL_SECS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{line} took longer than {INSTALL_SECS:g} s")
    if ran.returncode:
        pytest.skip(f"{line} failed: {ran.stderr.strip()[-1000:]}")
