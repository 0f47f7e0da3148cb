"""Pages of the dashboard in a browser: sign-in, navigation, and what must not happen on them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, Request, expect

TOKEN = "the-admin-token-of-the-tests"


@asynccontextmanager
async def signed_in(browser: Browser, url: str) -> AsyncIterator[Page]:
    """A page in a context of its own. At its end there is no console error and no request to another host."""
    async with await browser.new_context() as context:
        page = await context.new_page()
        errors, strayed = watched(page, url)
        await page.goto(f"{url}/admin/login?token={TOKEN}")
        await expect(page.locator("#link-words")).to_have_text("Live")
        yield page
        assert (errors, strayed) == ([], [])


def watched(page: Page, url: str) -> tuple[list[str], list[str]]:
    """Console errors and requests to other hosts, from now on."""
    errors: list[str] = []
    strayed: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith((f"{url}/", "data:")):
            strayed.append(request.url)

    page.on("console", on_console)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", on_request)
    return errors, strayed


async def go(page: Page, name: str) -> None:
    await page.goto(f"{page.url.partition('#')[0]}#/{name}")
    await expect(page.locator(f'main[data-page="{re.split("[/?]", name)[0]}"] h1')).to_be_visible()


async def violations(page: Page) -> list[tuple[str, str]]:
    """What axe finds: the rule, and the element."""
    found = (await Axe().run(page)).response["violations"]
    return [(each["id"], node["html"][:200]) for each in found for node in each["nodes"]]
