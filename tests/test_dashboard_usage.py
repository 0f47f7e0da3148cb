"""The page of usage in a real browser, over rows that are in the database already."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from playwright.async_api import Browser, Page, Route, expect

from proxy.ledger.row import Row
from tests.ledger.rows import ROW
from tests.ledger.store import put
from tests.support import Upstream, completion, json_answer
from tests.support.dashboard import TOKEN, go, signed_in, violations
from tests.support.gateway import Gateway, one_provider

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("dashboard")]

HOUR = 3600
KEY = {"name": "laptop", "hash": f"sha256:{'0' * 64}"}


def row(hours_ago: float, **facts: Any) -> Row:
    """An attempt that the provider reported: 1,000 tokens in, 3 out, for 0.25 USD."""
    id_ = f"{hours_ago}{sorted(facts.items())}"
    known = {"input": 1000, "usage_source": "provider", "cost": 250_000_000, "answered": True, "ended_ms": 800.0}
    return replace(ROW, id=id_, at=time.time() - hours_ago * HOUR, **known | facts)


def rows() -> list[Row]:
    return [
        row(0.0, owner="alice", key="config:laptop"),
        row(2.0, owner="alice", key="config:laptop"),
        row(30.0, owner="bob"),
        row(2.0, owner="bob", usage_source="estimated", cost=50_000_000),
        row(2.1, owner="carol", model="=1+2", usage_source="unknown", input=None, output=None, cost=None),
        row(2.2, owner="", model="free", cost=None, cost_source="unpriced", labels={"app": "x"}),
    ]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gw(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("data")
    url = f"sqlite:///{folder}/ledger.db"
    await put(url, rows())
    source = {
        "admin": {"token": TOKEN},
        "auth": {"keys": [KEY]},
        "dataDir": str(folder),
        "database": {"url": url},
        "ledger": {"enabled": True},
        "providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}},
        "models": [{"name": "m", "provider": "up"}],
    }
    async with Gateway(source) as gw:
        yield gw


def line(page: Page, name: str) -> Any:
    return page.locator("tbody tr", has=page.get_by_text(name, exact=True))


async def test_what_is_estimated_and_unknown_is_shown_as_such(page: Page) -> None:
    await go(page, "usage?by=owner&range=7d")
    await expect(line(page, "alice")).to_contain_text("$0.50")
    await expect(line(page, "bob")).to_contain_text("about $0.30")
    for name in ("carol", "not set"):
        await expect(line(page, name)).to_contain_text("\u20131 unknown")  # a dash, never 0
    total = page.locator("dl.totals")
    await expect(total).to_contain_text("about $0.80")
    await expect(total).to_contain_text("$0.050 of it estimated")
    await expect(total).to_contain_text("1 without usage, 1 without a price")
    await expect(page.get_by_text("2 of 6 attempts have no known cost")).to_be_visible()


async def test_costs_are_shown_in_the_configured_currency(page: Page) -> None:
    async def in_euro(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json=await answer.json() | {"currency": "EUR", "usdRate": 0.5})

    await page.route("**/admin/metrics", in_euro)
    await go(page, "usage?by=owner&range=7d")
    await page.reload()
    await expect(line(page, "alice")).to_contain_text("\u20ac0.25")
    await expect(page.get_by_text("In EUR, 0.5 for one USD.")).to_be_visible()
    await page.unroute("**/admin/metrics")
    await page.reload()


async def test_range_and_group_are_in_the_address(page: Page) -> None:
    await go(page, "usage")
    await page.get_by_label("Time range").select_option("Last 24 hours")
    await page.get_by_label("Group by").select_option("Key")
    await expect(line(page, "laptop")).to_contain_text("$0.50")  # the name of the key, not its id
    await expect(page.get_by_role("heading", name="Spend by hour")).to_be_visible()
    await page.reload()
    await expect(line(page, "laptop")).to_be_visible()
    await page.get_by_role("button", name="Tokens").click()
    await expect(page.get_by_role("img", name=re.compile("Tokens by hour, at most [1-9]"))).to_be_visible()


async def test_usage_is_grouped_by_a_label(page: Page) -> None:
    await go(page, "usage?by=label:app")
    await expect(line(page, "x")).to_be_visible()
    await expect(line(page, "not set")).to_be_visible()


async def test_a_group_leads_to_what_it_consists_of(page: Page) -> None:
    await go(page, "usage?by=owner")
    await page.get_by_role("link", name="alice").click()
    await expect(line(page, "m")).to_contain_text("$0.50")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_role("button", name="owner: alice, remove").click()
    await expect(page.locator("tbody tr")).to_have_count(3)


async def test_the_export_has_what_is_shown(page: Page, tmp_path: Path) -> None:
    await go(page, "usage?by=model&range=7d")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Export CSV").click()
    await (await download.value).save_as(tmp_path / "usage.csv")
    found = list(csv.DictReader((tmp_path / "usage.csv").read_text().splitlines()))
    assert {each["model"] for each in found} == {"m", "free", "'=1+2"}


async def test_what_the_cache_saved_is_beside_what_was_spent(page: Page) -> None:
    nano = 120_000_000

    async def saved(route: Route) -> None:
        answer = await route.fetch()
        found = await answer.json()
        for sums in (found["total"], *found["data"]):
            sums |= {"from_cache": 3, "saved_nano": nano}
        await route.fulfill(response=answer, json=found)

    await page.route("**/admin/analytics/usage?*", saved)
    await go(page, "usage?by=owner&range=7d")
    await page.reload()
    await expect(line(page, "alice")).to_contain_text("$0.12 saved")
    await expect(page.locator("dl.totals")).to_contain_text("3 from the cache saved $0.12")
    nano = 0  # of models without prices
    await page.reload()
    await expect(page.locator("dl.totals")).to_contain_text("3 from the cache")
    await expect(page.locator("dl.totals")).not_to_contain_text("saved")
    await page.unroute("**/admin/analytics/usage?*")
    await page.reload()


async def test_a_time_without_usage_says_how_it_fills(page: Page) -> None:
    await go(page, "usage?range=own&from=2020-01-01&to=2020-01-02")
    await expect(page.get_by_role("heading", name="No usage in this time")).to_be_visible()


async def test_keys_have_their_last_use_and_spend(page: Page) -> None:
    await go(page, "keys")
    await expect(line(page, "laptop").locator("time")).to_be_visible()
    await expect(line(page, "laptop")).to_contain_text("$0.50")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_page_is_accessible_and_fits(theme: str, width: int, page: Page) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    await go(page, "usage?by=owner&model=m")
    await expect(line(page, "alice")).to_be_visible()
    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_what_the_cache_saved_is_shown_and_answers_are_invalidated(browser: Browser, tmp_path: Path) -> None:
    call = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    model = {"name": "m", "provider": "up", "inputPrice": 1_000.0, "outputPrice": 1_000.0}
    async with Upstream() as up:
        source = one_provider(
            up, cache={"enabled": True}, admin={"token": TOKEN}, models=[model], dataDir=str(tmp_path)
        )
        async with Gateway(source) as gw:
            up.on(lambda request: json_answer(completion("Hello")))
            client = await gw.client()
            for _ in range(3):
                await client.fetch("POST", "/v1/chat/completions", json=call)
            async with signed_in(browser, gw.url) as page:
                await go(page, "usage")
                part = page.get_by_role("region", name="Answers from the cache")
                await expect(part.locator("tbody tr")).to_contain_text("66.7%")
                await expect(part.locator("tbody td").first).to_have_text("2")
                await expect(part.locator("tbody tr")).to_contain_text("$0.022")
                assert await violations(page) == []
                await part.get_by_label("What to invalidate").select_option("Answers with a tag")
                await part.get_by_label("Name of the model or tag").fill(" red ")
                assert await violations(page) == []
                await part.get_by_role("button", name="Invalidate").click()
                await expect(page.get_by_text("Invalidate answers with the tag red?")).to_be_visible()
                await page.get_by_role("button", name="Cancel").click()
                assert (await client.fetch("POST", "/v1/chat/completions", json=call)).header("x-router-cache") == "hit"
                for which, name, removed in (("Answers with a tag", "red", 0), ("Answers of a model", "m", 1)):
                    await part.get_by_label("What to invalidate").select_option(which)
                    await part.get_by_label("Name of the model or tag").fill(f" {name} ")
                    await part.get_by_role("button", name="Invalidate").click()
                    await page.get_by_role("button", name="Invalidate them").click()
                    await expect(page.get_by_text(f"Answers removed: {removed}")).to_be_visible()
                await expect(part.locator("tbody td").nth(7)).to_have_text("0")
                await client.fetch("POST", "/v1/chat/completions", json=call)
                await part.get_by_label("What to invalidate").select_option("All answers")
                await expect(part.get_by_label("Name of the model or tag")).to_be_hidden()
                # The toasts before stay for 4 s, which a busy machine may need from one to the next.
                await page.evaluate("document.getElementById('toasts').replaceChildren()")
                await part.get_by_role("button", name="Invalidate").click()
                await page.get_by_role("button", name="Invalidate them").click()
                await expect(page.get_by_text("Answers removed: 1")).to_be_visible()
                await go(page, "requests")
                await expect(page.get_by_text("cache hit")).to_have_count(3)
                await page.locator("tbody a").nth(1).click()
                await expect(page.get_by_text("hit \u00b7 $0.011 saved")).to_be_visible()


async def test_while_the_cache_is_off_nothing_of_it_is_shown(page: Page) -> None:
    await go(page, "usage?by=owner&range=7d")
    await expect(line(page, "alice")).to_be_visible()
    await expect(page.get_by_role("button", name="Invalidate")).to_be_hidden()
