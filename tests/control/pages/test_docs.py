"""Swagger UI and Redoc in a real browser: complete, offline, and within their policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.resources import files

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.support.gateway import Gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser

OPERATIONS = {"/docs": ".opblock", "/redoc": "[data-section-id*='/operation/'], [id*='operation/']"}
FILES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "redoc.standalone.js": "text/javascript; charset=utf-8",
    "redoc.js": "text/javascript; charset=utf-8",
    "redoc.css": "text/css; charset=utf-8",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gw() -> AsyncIterator[Gateway]:
    async with Gateway({"demo": "auto"}) as gw:
        yield gw


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with await browser.new_context() as context:
        yield await context.new_page()


@pytest.mark.parametrize(("path", "operation"), OPERATIONS.items())
async def test_a_page_shows_every_operation_without_errors(gw: Gateway, page: Page, path: str, operation: str) -> None:
    assert gw.app.plane is not None
    client = await gw.client()
    described = (await client.fetch("GET", "/openapi.json")).json["paths"]
    errors: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    await page.goto(gw.url + path)
    await page.locator(operation).first.wait_for()
    text = await page.locator("body").inner_text()
    assert await page.locator(operation).count() >= sum(map(len, described.values()))
    await page.wait_for_load_state("networkidle")
    assert "Sluice" in text
    assert errors == []
    # The page makes blobs and data itself.
    assert [url for url in requested if not url.startswith((gw.url + "/", "blob:" + gw.url, "data:"))] == []


async def test_the_search_of_redoc_works(gw: Gateway, page: Page) -> None:
    await page.goto(gw.url + "/redoc")
    await page.get_by_role("search").locator("input").fill("circuit")
    await page.locator("[data-role='search:results'] [role='menuitem']").first.wait_for()


async def test_only_listed_files_are_served(gw: Gateway) -> None:
    client = await gw.client()
    for name, kind in FILES.items():
        answer = await client.fetch("GET", f"/docs/{name}")
        assert (answer.status, answer.header("content-type")) == (200, kind)
        assert answer.body == (files("proxy.control.pages") / "docs_assets" / name).read_bytes()
        known = [("If-None-Match", answer.header("etag") or "")]
        assert (await client.fetch("GET", f"/docs/{name}", headers=known)).status == 304
    for name in ("NOTICE", "docs.html", "..%2Fdocs.py", "x", "redoc.scrollbar.css"):
        assert (await client.fetch("GET", f"/docs/{name}")).status == 404


async def test_pages_load_only_from_the_gateway(gw: Gateway) -> None:
    client = await gw.client()
    for path in OPERATIONS:
        answer = await client.fetch("GET", path)
        policy = dict(part.partition(" ")[::2] for part in (answer.header("content-security-policy") or "").split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert policy["worker-src"] == ("blob:" if path == "/redoc" else "'none'")
        assert "unsafe" not in "".join(policy.values())
        assert answer.header("x-frame-options") == "DENY"


async def test_third_party_files_have_their_licenses() -> None:
    folder = files("proxy.control.pages") / "docs_assets"
    notice = (folder / "NOTICE").read_text()
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js", "redoc.scrollbar.css"):
        assert name in notice
    for name in (
        "swagger-ui.LICENSE",
        "redoc.LICENSE",
        "redoc.standalone.js.LICENSE.txt",
        "swagger-ui-bundle.js.LICENSE.txt",
    ):
        assert name in notice
        assert (folder / name).is_file()
    assert b"cdn.redoc.ly" not in (folder / "redoc.standalone.js").read_bytes()
