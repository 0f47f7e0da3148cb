"""A real browser: Debian's chromium, driven by playwright. Imported explicitly, since few tests use it.

A missing chromium is installed if possible (root with apt-get). Otherwise the test is skipped with the reason, or
fails if ``CI`` is true. Playwright's own browsers are not downloaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright, expect

from tests.support.machine import debian_program
from tests.support.patience import PATIENCE

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

expect.set_options(timeout=PATIENCE * 1000)


@asynccontextmanager
async def chromium(*args: str) -> AsyncIterator[Browser]:
    """One browser, for a whole test file; each test creates a page in a separate context. ``args`` are chromium's."""
    path = await asyncio.to_thread(debian_program, "chromium", "chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*QUIET, *args])
        try:
            yield browser
        finally:
            await browser.close()
