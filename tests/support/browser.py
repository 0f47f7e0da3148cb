"""A real browser: Debian's chromium, driven by playwright. Imported by its own name, since few tests want one.

Where there is no chromium it is installed, if we may (root with apt-get); else the test is skipped with the reason,
and fails if ``CI`` is true. Playwright's own browsers are not downloaded.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache

from playwright.async_api import Browser, async_playwright, expect

from tests.support.machine import one_at_a_time
from tests.support.patience import PATIENCE
from tests.support.services import missing

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
INSTALL = (
    ("apt-get", "-qq", "update"),
    ("apt-get", "-qq", "install", "--no-upgrade", "--no-install-recommends", "chromium"),
)
INSTALL_SECS = 600.0  # some hundred megabytes

expect.set_options(timeout=PATIENCE * 1000)


@asynccontextmanager
async def chromium(*args: str) -> AsyncIterator[Browser]:
    """One browser, for a whole test file; each test makes a page in a context of its own. ``args`` are chromium's."""
    path = await asyncio.to_thread(_found)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*QUIET, *args])
        try:
            yield browser
        finally:
            await browser.close()


@cache
def _found() -> str:
    """Path of chromium, which is installed first if need be."""
    with one_at_a_time("chromium"):
        path = shutil.which("chromium") or _installed()
    if path is None:
        missing("chromium cannot be found although it was installed")
    return path


def _installed() -> str | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        missing("chromium is not installed, and only root may install it with apt-get")
    for command in INSTALL:
        _run(command)
    return shutil.which("chromium")


def _run(command: Sequence[str]) -> None:
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=INSTALL_SECS)
    except subprocess.TimeoutExpired:
        missing(f"chromium is not installed, and {' '.join(command)} took longer than {INSTALL_SECS:g} s")
    if ran.returncode:
        missing(f"chromium is not installed, and {' '.join(command)} failed: {ran.stderr.strip()[-500:]}")
