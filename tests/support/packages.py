"""Versions of client packages, each in a separate process; the older ones also in a separate folder."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE
from typing import Any

from tests.support.machine import missing, one_at_a_time
from tests.support.patience import within

ROOT = Path(__file__).parents[2]


class Package:
    """A process that reads streams with one version of a client package."""

    def __init__(self, version: str, reader: Path, path: Path | None = None) -> None:
        """``reader`` is its program, ``path`` the package's folder, ``None`` if it stands in the environment."""
        self.version = version
        environment = dict(os.environ) | ({"PYTHONPATH": str(path)} if path else {})
        self._process = subprocess.Popen([sys.executable, str(reader)], stdin=PIPE, stdout=PIPE, env=environment)

    async def read(self, url: str, **headers: str) -> dict[str, Any]:
        """What the package makes of the stream."""
        result = await within(asyncio.to_thread(self._read, json.dumps([url, headers])), "the reader to answer")
        assert result.pop("version").partition(".")[0] == self.version
        return result

    def _read(self, request: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(request.encode() + b"\n")
        self._process.stdin.flush()
        result: dict[str, Any] = json.loads(self._process.stdout.readline())
        return result

    def close(self) -> None:
        """End the process, and wait for it."""
        self._process.communicate()


def openai_1() -> Path:
    """Where openai 1.x stands with all that it needs; for PYTHONPATH."""
    return _installed("openai-1")


def anthropic_0() -> Path:
    """The same for anthropic 0.x."""
    return _installed("anthropic-0")


def _installed(name: str) -> Path:
    """The folder of what a lock file names. Installed once per environment and lock file.

    Without a package index the test is skipped with the reason, and fails if ``CI`` is true.
    """
    lock = ROOT / "deploy" / "locks" / f"{name}.txt"
    folder = Path(sys.prefix) / name
    stamp = folder / lock.name
    with one_at_a_time(name):
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
            missing(f"{folder.name} cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
