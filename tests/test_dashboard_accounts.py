"""Pages about clients and what they used, in a real browser: keys, the search among requests, what needs attention.

One gateway and one signed-in page serve all of them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support import Upstream, completion, json_answer
from tests.support.dashboard import TOKEN, go, violations
from tests.support.gateway import Gateway, one_provider

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("dashboard")]

CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
CONFIGURED = {"name": "of the file", "hash": f"sha256:{'0' * 64}"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gw(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        source = one_provider(
            up,
            admin={"token": TOKEN},
            auth={"mode": "keys", "keys": [CONFIGURED]},
            dataDir=str(tmp_path_factory.mktemp("data")),
        )
        async with Gateway(source) as gw:
            yield gw


async def call(gw: Gateway, secret: str, **headers: str) -> int:
    client = await gw.client()
    sent = [("Authorization", f"Bearer {secret}"), *headers.items()]
    answer = await client.fetch("POST", "/v1/chat/completions", headers=sent, json=CALL)
    client.close()
    return answer.status


async def make(gw: Gateway, **fields: Any) -> dict[str, Any]:
    """A key, made by the API."""
    client = await gw.client()
    answer = await client.fetch(
        "POST", "/auth/api-keys", headers=[("Authorization", f"Bearer {TOKEN}")], json={"name": "a key"} | fields
    )
    client.close()
    made: dict[str, Any] = answer.json
    return made


def row(page: Page, name: str) -> Any:
    return page.locator("tbody tr", has=page.get_by_role("link", name=name, exact=True))


def button(page: Page, name: str) -> Any:
    return page.get_by_role("dialog").last.get_by_role("button", name=name, exact=True)


async def test_a_key_is_made_with_its_fields_and_its_secret_is_shown_once(page: Page, gw: Gateway) -> None:
    await go(page, "keys")
    await expect(row(page, "of the file")).to_contain_text("in the configuration")
    await page.get_by_role("link", name="New key").first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Name")).to_be_focused()
    for label, value in {
        "Name": "laptop",
        "Owner": "alice",
        "Team": "search",
        "Project": "ranking",
        "Labels": "stage=dev, region=eu",
        "Models": "m, n-*",
        "Requests per minute": "60",
        "Expires": "2099-01-02T03:04",
    }.items():
        await dialog.get_by_label(label, exact=True).fill(value)
    await page.keyboard.press("Enter")
    secret = await dialog.locator(".secret").inner_text()
    assert await call(gw, secret) == 200
    await button(page, "Done").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    for words in ("alice", "search", "ranking", "stage=dev", "region=eu", "m, n-*", "60 requests/min", "Active"):
        await expect(row(page, "laptop")).to_contain_text(words)
    assert secret not in await page.content()


async def test_a_mistake_is_shown_in_the_form(browser: Browser, gw: Gateway) -> None:
    async with await browser.new_context() as context:  # where a refused request may be a console error
        page = await context.new_page()
        await page.goto(f"{gw.url}/admin/login?token={TOKEN}")
        await go(page, "keys/new")
        await page.get_by_label("Name", exact=True).fill("a name")
        await page.get_by_label("Expires").fill("2020-01-01T00:00")
        await button(page, "Make the key").click()
        await expect(page.get_by_role("alert")).to_contain_text("expires: is past")
        await page.keyboard.press("Escape")
        await expect(page).to_have_url(re.compile("#/keys$"))


async def test_a_key_is_changed_rotated_disabled_and_deleted(page: Page, gw: Gateway) -> None:
    made = await make(gw, name="batch", owner="bob", limits={"tokensPerMinute": 1000})
    await go(page, f"keys/{made['id']}")
    dialog = page.get_by_role("dialog").first
    await dialog.get_by_label("Owner").fill("")
    await dialog.get_by_label("Tokens per minute").fill("")
    await dialog.get_by_label("Requests at once").fill("3")
    await button(page, "Save").click()
    await expect(row(page, "batch")).to_contain_text("3 at once")
    await expect(row(page, "batch")).not_to_contain_text("bob")

    await dialog.get_by_label("The former secret ends").select_option("at once")
    await button(page, "Rotate").click()
    await button(page, "Rotate").click()  # of the confirmation
    secret = await dialog.locator(".secret").inner_text()
    assert [await call(gw, each) for each in (made["key"], secret)] == [401, 200]
    await button(page, "Done").click()

    await row(page, "batch").get_by_role("link").click()
    await button(page, "Disable").click()
    await button(page, "Disable").click()
    await expect(button(page, "Enable")).to_be_visible()
    assert await call(gw, secret) == 401
    await button(page, "Enable").click()
    await expect(button(page, "Disable")).to_be_visible()
    assert await call(gw, secret) == 200

    await button(page, "Delete").click()
    await button(page, "Delete").click()
    await expect(row(page, "batch")).to_have_count(0)
    assert await call(gw, secret) == 401


async def test_a_key_of_the_configuration_cannot_be_changed(page: Page) -> None:
    await go(page, "keys")
    await row(page, "of the file").get_by_role("link").click()
    await expect(page.get_by_role("dialog")).to_contain_text("change it there, under auth.keys")
    await page.get_by_role("button", name="Close").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_requests_are_searched_by_owner_run_and_id(page: Page, gw: Gateway) -> None:
    made = await make(gw, owner="zoe@example.org")
    for run in ("night-1", "night-2"):
        assert await call(gw, made["key"], **{"x-router-run": run}) == 200
    await go(page, "requests?client=zoe")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    await page.get_by_label("Search by run").fill("night-2")
    await expect(rows).to_have_count(1)
    assert await call(gw, made["key"], **{"x-router-run": "night-2"}) == 200
    await expect(rows).to_have_count(2)  # the search follows what ends
    await rows.first.get_by_role("link").click()
    id_ = await page.get_by_role("dialog").locator(".ident code").inner_text()
    await page.get_by_role("dialog").get_by_role("link", name="night-2").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_label("Search by request id").fill(id_)
    await expect(rows).to_have_count(1)
    await page.get_by_label("Search by client or owner").fill("nobody")
    await expect(page.get_by_role("heading", name="No request matches")).to_be_visible()


async def test_what_needs_attention_has_its_reason_and_leads_on(page: Page, gw: Gateway) -> None:
    await go(page, "overview")
    attention = page.locator("section", has=page.get_by_role("heading", name="Needs attention"))
    await expect(attention).to_contain_text("Everything is in service.")
    deployment = gw.app.running.catalog.deployments[0]
    deployment.live.breaker.trip(asyncio.get_running_loop().time(), "operator")
    gw.app.running.waiting = ("server.port",)
    lines = attention.locator("li")
    await expect(lines.first).to_contain_text("no deployment is in service")
    out = lines.filter(has_text="taken out of service by an operator; no other deployment serves the model")
    await expect(lines.last).to_contain_text("changes that take effect at the next start: server.port")
    await out.get_by_role("link", name="up/m").click()
    await page.get_by_role("button", name="Put back up/m").click()
    gw.app.running.waiting = ()
    await go(page, "overview")
    await expect(attention).to_contain_text("Everything is in service.")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_sheets_of_keys_are_accessible_and_fit(theme: str, width: int, page: Page, gw: Gateway) -> None:
    made = await make(gw, name="a" * 200, owner="b" * 200, models=["c" * 200])
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    for name in ("keys/new", f"keys/{made['id']}"):
        await go(page, name)
        await expect(page.locator(".loading:visible")).to_have_count(0)
        assert await violations(page) == [], name
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        await page.keyboard.press("Escape")
