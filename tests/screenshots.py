"""``python -m tests.screenshots``: the dashboard as the README shows it, taken of this checkout in a real browser.

The built-in demo provider serves for half a minute, and some of its models fail on purpose; then the pages that the
README shows are taken into deploy/screenshots, or with --all every page, light and dark, wide and narrow.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from playwright.async_api import Browser, Page

from tests.support.browser import chromium
from tests.support.gateway import ADMIN, ROOT, Gateway

PEOPLE = 6
PAGES = ("overview", "models", "requests", "waterfall", "limits", "try", "config")
SHOWN = (
    *("overview-light-wide", "overview-dark-wide", "models-light-wide", "waterfall-light-wide"),
    *("limits-light-wide", "try-dark-wide", "overview-dark-narrow", "models-light-narrow"),
)
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}
THEMES = ("light", "dark")
MODELS: tuple[Any, ...] = (
    *["demo-fast"] * 6,
    "demo",
    "demo-instant",
    "demo-reasoning",
    ["demo-500", "demo-fast"],
    "demo-cut",
    ["demo-error-first", "demo-instant"],
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "deploy/screenshots")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long there is something to see before")
    parser.add_argument("--all", action="store_true", help="every page in every form")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    names = [f"{page}-{theme}-{size}" for page in PAGES for theme in THEMES for size in SIZES]
    uvloop.run(_take(chosen.folder, chosen.seconds, names if chosen.all else SHOWN))


async def _take(folder: Path, seconds: float, names: Collection[str]) -> None:
    with tempfile.TemporaryDirectory() as kept:
        source = {
            "demo": "auto",
            "dataDir": kept,
            "circuitBreaker": {"failureThreshold": 3, "cooldownPeriodSecs": 4},
            "rateLimiting": {
                "enabled": True,
                "global": {"requestsPerMinute": 6000},
                "perClient": {"requestsPerMinute": 600, "tokensPerMinute": 200_000, "concurrent": 20},
            },
        }
        async with Gateway(source) as gw, aiohttp.ClientSession() as session, chromium() as browser:
            people = [asyncio.create_task(_ask(session, gw.url, f"person-{number}")) for number in range(PEOPLE)]
            await asyncio.sleep(seconds)
            for size in SIZES:
                for theme in THEMES:
                    wanted = [page for page in PAGES if f"{page}-{theme}-{size}" in names]
                    request = await _failed_over(session, gw.url)
                    await _shoot(browser, gw.url, folder, wanted, theme, size, request)
            for person in people:
                person.cancel()
            await asyncio.gather(*people, return_exceptions=True)


async def _failed_over(session: aiohttp.ClientSession, url: str) -> str:
    """The id of a request that took several attempts."""
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with session.get(f"{url}/admin/requests?limit=500", headers=headers) as response:
        found = (await response.json())["requests"]
    return str(next(each["id"] for each in found if each["attempts"] > 1))


async def _ask(session: aiohttp.ClientSession, url: str, name: str) -> None:
    chance = random.Random(name)
    for _ in range(1000):
        ask = {
            "model": chance.choice(MODELS),
            "stream": chance.random() < 0.8,
            "messages": [{"role": "user", "content": "Tell me about rivers"}],
        }
        try:
            async with session.post(f"{url}/v1/chat/completions", json=ask, headers={"X-Client-ID": name}) as response:
                await response.read()
        except aiohttp.ClientError:
            pass  # some of them are cut on purpose
        await asyncio.sleep(chance.random() * 2)


async def _shoot(
    browser: Browser, url: str, folder: Path, pages: Collection[str], theme: Any, size: str, request: str
) -> None:
    width, height = SIZES[size]
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    page = await context.new_page()
    page.on("pageerror", lambda error: sys.exit(f"an error on the page: {error}"))
    await page.goto(f"{url}/admin/login?token={ADMIN}")
    await page.wait_for_selector("nav a[aria-current]")
    for name in pages:
        await page.goto(f"{url}/#/{f'requests/{request}' if name == 'waterfall' else name}")
        await page.wait_for_timeout(1000)
        if name == "try":
            await _try(page)
        await page.screenshot(path=folder / f"{name}-{theme}-{size}.png")
    await context.close()


async def _try(page: Page) -> None:
    await page.fill("#try-model", "demo-500, demo-fast")
    await page.click("button[type=submit]")
    await page.wait_for_timeout(2000)


if __name__ == "__main__":
    main()
