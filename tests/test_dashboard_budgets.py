"""The page of budgets in a real browser: what is spent, reserved and left, top-ups, and the history of an account."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from proxy.database.accounts import AccountTable
from proxy.database.opening import LazyEngine
from tests.support import Request, Upstream, Wait, completion, json_answer
from tests.support.dashboard import TOKEN, go, signed_in, violations
from tests.support.gateway import Gateway, one_provider
from tests.support.steps import Step
from tests.support.zones import noon_zone

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("dashboard")]

CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
SECRETS = {"alice": "sk-alice-0123456789abcdef", "bob": "sk-bob-0123456789abcdef"}
BOT = "sk-bot-0123456789abcdef"
BUDGETS: list[dict[str, Any]] = [
    {"name": "daily", "per": "owner", "usd": 0.2, "window": "day", "timezone": noon_zone()},
    {"name": "runs", "per": "run", "usd": 0.5},
    {"name": "soft", "tokens": 50, "window": "month", "timezone": noon_zone(), "soft": True},
]


def config(up: Upstream, folder: Path, **sections: Any) -> dict[str, Any]:
    keys = [
        {"name": f"key of {owner}", "owner": owner, "hash": f"sha256:{sha256(secret.encode()).hexdigest()}"}
        for owner, secret in SECRETS.items()
    ]
    return one_provider(
        up,
        # 0.001 USD a token: the prices are USD for a million.
        models=[{"name": "m", "provider": "up", "prices": {"input": 1000, "output": 1000}}],
        admin={"token": TOKEN},
        auth={"mode": "keys", "keys": keys},
        dataDir=str(folder),
        database={"url": f"sqlite:///{folder}/a.db"},
        ledger={"enabled": True},
        **sections,
    )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def held() -> asyncio.Event:
    """Set it, and the call of the user ``slow`` is answered."""
    return asyncio.Event()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gw(tmp_path_factory: pytest.TempPathFactory, held: asyncio.Event) -> AsyncIterator[Gateway]:
    def answer(request: Request) -> list[Step]:
        if request.json.get("user") == "slow":  # and dear
            return [Wait(held), *json_answer(completion() | {"usage": USAGE | {"completion_tokens": 110}})]
        return json_answer(completion() | {"usage": USAGE})

    async with Upstream() as up:
        up.on(answer)
        folder = tmp_path_factory.mktemp("data")
        billing = {"enabled": True, "defaultBalance": 1}
        async with Gateway(config(up, folder, budgets=BUDGETS, billing=billing)) as gw:
            assert [await call(gw, "alice") for _ in range(3)] == [200] * 3
            assert await call(gw, "bob", run="nightly") == 200
            yield gw


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def accounts(gw: Gateway) -> AsyncIterator[AccountTable]:
    engine = LazyEngine(gw.app.config.database, gw.app.config.data_dir, print, print)
    yield AccountTable(engine.get())
    await engine.close()


async def call(gw: Gateway, owner: str, run: str = "", **members: Any) -> int:
    client = await gw.client()
    headers = [("Authorization", f"Bearer {SECRETS[owner]}"), *([("x-router-run", run)] if run else [])]
    answer = await client.fetch("POST", "/v1/chat/completions", headers=headers, json=CALL | members)
    client.close()
    return answer.status


def section(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=name, exact=True)


def line(page: Page, name: str, whose: str) -> Any:
    return section(page, name).locator("tbody tr", has=page.get_by_text(whose, exact=True))


def dialog(page: Page) -> Any:
    return page.get_by_role("dialog").last


async def test_budgets_show_what_is_spent_reserved_and_left(page: Page, gw: Gateway, held: asyncio.Event) -> None:
    await go(page, "budgets")
    daily = section(page, "daily")
    await expect(daily.locator("header")).to_contain_text("$0.20 a day for each owner, renewed in")
    await expect(daily.locator("tbody tr")).to_contain_text(["alice", "bob"])  # the highest share first
    await expect(line(page, "daily", "alice")).to_contain_text("30% spent$0.060\u2013$0.14")
    meter = daily.get_by_role("meter", name="daily, alice")
    await expect(meter).to_have_attribute("aria-valuetext", "30% spent")
    await expect(section(page, "soft").locator("header")).to_contain_text("only warns")
    await expect(line(page, "soft", "all together")).to_contain_text("Passed160% spent80\u20130")
    await expect(line(page, "runs", "bob/nightly")).to_contain_text("4% spent$0.020")
    slow = asyncio.create_task(call(gw, "alice", user="slow"))
    await expect(meter).to_have_attribute("aria-valuetext", re.compile(r"^30% spent, [1-6]\d(\.\d)?% reserved$"))
    held.set()
    assert await slow == 200
    await expect(meter).to_have_attribute("aria-valuetext", "90% spent")  # without a reload
    await expect(line(page, "daily", "alice")).to_contain_text("Nearly used up")
    assert await call(gw, "alice") == 429
    await expect(line(page, "daily", "alice")).to_contain_text("Refusing calls")


async def test_a_budget_that_is_used_up_needs_attention(page: Page) -> None:
    await go(page, "overview")
    trouble = page.get_by_role("region", name="Needs attention").locator("li", has_text="Budget soft")
    await expect(trouble).to_contain_text("used up, and it only warns, renewed in")
    await trouble.get_by_role("link", name="Budget soft").click()
    await expect(page).to_have_url(re.compile("#/budgets$"))


async def test_counters_are_found_by_budget_and_by_name(page: Page) -> None:
    await go(page, "budgets")
    await page.get_by_label("Find an owner, a run or an account").fill("BO")
    await expect(section(page, "daily").locator("tbody tr")).to_have_count(1)
    await expect(section(page, "soft")).to_contain_text("Nothing with this name is counted")
    await expect(section(page, "Accounts").locator("tbody tr")).to_have_count(1)
    await page.get_by_label("Budget", exact=True).select_option("runs")
    await expect(page.locator("section.budget:visible")).to_have_count(1)
    await expect(line(page, "runs", "bob/nightly")).to_be_visible()
    await page.get_by_label("Budget", exact=True).select_option("")
    await page.get_by_label("Find an owner, a run or an account").fill("zoe")
    await page.get_by_role("link", name="Open the account of zoe").click()
    await expect(dialog(page)).to_contain_text("$1.00")  # what it will begin with
    await expect(dialog(page)).to_contain_text("No transactions yet")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile("#/budgets$"))
    await page.get_by_label("Find an owner, a run or an account").fill("")


async def test_an_account_is_topped_up_after_a_confirmation(page: Page, accounts: AccountTable) -> None:
    await go(page, "budgets")
    await page.get_by_role("button", name="Top up").click()
    await dialog(page).get_by_label("Account").fill("dora")
    await dialog(page).get_by_label("Amount").fill("24.5")
    await page.keyboard.press("Enter")
    await expect(dialog(page)).to_contain_text("Add $24.50 to dora?")
    await expect(dialog(page)).to_contain_text(
        "There is no account dora yet: it will be opened with $1.00, and has $25.50 afterwards."
    )
    await dialog(page).get_by_role("button", name="Cancel").click()
    assert await balance(accounts, "dora") is None
    await add(page)
    await expect(dialog(page).locator("dl")).to_contain_text("$25.50")
    await expect(dialog(page).locator("tbody tr")).to_contain_text(["Top-up+$24.50", "Opening balance+$1.00"])
    await dialog(page).get_by_label("Amount").fill("-20")
    await dialog(page).get_by_label("Description").fill("Correction")
    await dialog(page).get_by_role("button", name="Top up").click()
    await expect(dialog(page)).to_contain_text("Take $20.00 from dora?")
    await expect(dialog(page)).to_contain_text("The balance is $25.50 now, and $5.50 afterwards.")
    await dialog(page).get_by_role("button", name="Take").click()
    await expect(dialog(page).locator("tbody tr").first).to_contain_text("Correction\u2212$20.00")
    await expect(dialog(page).locator("dl")).to_contain_text("$5.50")
    await page.keyboard.press("Escape")
    await expect(line(page, "Accounts", "dora")).to_contain_text("Covered$5.50")
    assert await balance(accounts, "dora") == 5_500_000_000


async def balance(accounts: AccountTable, account: str) -> int | None:
    found = await accounts.read(account)
    return None if found is None else found.balance


async def add(page: Page) -> None:
    """Send the form of the sheet, and confirm."""
    await dialog(page).get_by_role("button", name="Top up").click()
    await dialog(page).get_by_role("button", name="Add").click()


async def test_a_top_up_whose_answer_is_lost_is_posted_once(
    browser: Browser, gw: Gateway, accounts: AccountTable
) -> None:
    lost = False

    async def lose(route: Route) -> None:
        nonlocal lost
        if route.request.method == "POST" and not lost:
            lost = True
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    async with await browser.new_context() as context:  # where a lost answer is a console error
        page = await context.new_page()
        await page.goto(f"{gw.url}/admin/login?token={TOKEN}")
        await go(page, "budgets/erin")
        await page.route("**/billing/transaction", lose)
        await dialog(page).get_by_label("Amount").fill("3")
        await add(page)
        await expect(page.get_by_role("alert")).to_contain_text("The gateway does not respond")
        assert await balance(accounts, "erin") == 4_000_000_000
        await add(page)
        await expect(dialog(page).locator("tbody tr")).to_have_count(2)
        assert await balance(accounts, "erin") == 4_000_000_000
        await dialog(page).get_by_label("Amount").fill("1e12")
        await add(page)
        await expect(page.get_by_role("alert")).to_contain_text("amount: must be at most 1,000,000")


async def test_the_history_of_an_account_goes_back_to_its_beginning(page: Page, accounts: AccountTable) -> None:
    for number in range(60):
        await accounts.post("fred", 1_000_000, f"Gift {number}")
    await go(page, "budgets/fred")
    rows = dialog(page).locator("tbody tr")
    await expect(rows).to_have_count(50)
    await expect(rows.first).to_contain_text("Gift 59")
    await accounts.post("fred", 1_000_000, "Meanwhile")  # moves all others by one
    await dialog(page).get_by_role("button", name="Show more").click()
    await expect(rows).to_have_count(60)
    await expect(rows.last).to_contain_text("Gift 0")
    await expect(dialog(page).get_by_role("button", name="Show more")).to_be_hidden()
    await page.keyboard.press("Escape")


async def test_a_charge_leads_to_its_call(page: Page) -> None:
    await go(page, "budgets/bob")
    charge = dialog(page).locator("tbody tr").first
    await expect(charge).to_contain_text("Chat completion with m")
    await expect(charge).to_contain_text("\u2212$0.020")
    await charge.get_by_role("link", name="Request").click()
    await expect(dialog(page)).to_contain_text("chat/completions")
    await page.keyboard.press("Escape")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_page_is_accessible_and_fits(theme: str, width: int, page: Page) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    for name in ("budgets", "budgets/bob"):
        await go(page, name)
        await expect(line(page, "daily", "bob")).to_have_count(1)
        await expect(page.locator(".loading:visible")).to_have_count(0)
        assert await violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.keyboard.press("Escape")


async def test_on_a_phone_a_bar_fills_its_card(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 800})
    await go(page, "budgets")
    card = await line(page, "daily", "bob").bounding_box()
    bar = await section(page, "daily").get_by_role("meter", name="daily, bob").bounding_box()
    assert bar["width"] > 0.8 * card["width"]


async def test_keys_are_shown_by_their_names(browser: Browser, tmp_path: Path) -> None:
    """Those of the configuration and of the database, as the subjects of budgets, of runs and of accounts."""
    budgets = [
        {"name": "daily", "per": "key", "only": ["config:bot"], "usd": 0.125, "window": "day", "timezone": noon_zone()},
        {"name": "owners", "per": "owner", "usd": 0.2, "window": "day", "timezone": noon_zone()},
        {"name": "runs", "per": "run", "usd": 0.05},
    ]
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion() | {"usage": USAGE | {"completion_tokens": 1}}))
        made = config(up, tmp_path, budgets=budgets, billing={"enabled": True, "defaultBalance": 1})
        made["auth"]["keys"].append({"name": "bot", "hash": f"sha256:{sha256(BOT.encode()).hexdigest()}"})
        async with Gateway(made) as gw:
            client = await gw.client()
            bearer = [("Authorization", f"Bearer {TOKEN}")]
            created = (await client.fetch("POST", "/auth/api-keys", headers=bearer, json={"name": "nightly job"})).json
            for secret in (BOT, created["key"]):
                headers = [("Authorization", f"Bearer {secret}"), ("x-router-run", "r1")]
                body = {"model": "m", "messages": [], "max_tokens": 1}
                answer = await client.fetch("POST", "/v1/chat/completions", headers=headers, json=body)
                assert answer.status == 200, answer.body
            async with signed_in(browser, gw.url) as page:
                await go(page, "budgets")
                await expect(section(page, "daily").locator("header")).to_contain_text("$0.125 a day for bot,")
                await expect(section(page, "runs").locator("header")).to_contain_text("$0.05 for each run")
                await expect(line(page, "daily", "bot")).to_contain_text("config:bot")
                for name, id_ in (("bot", "config:bot"), ("nightly job", created["id"])):
                    await expect(line(page, "owners", name)).to_contain_text(f"key:{id_}")
                    await expect(line(page, "runs", f"{name}/r1")).to_contain_text(f"key:{id_}/r1")
                    await expect(line(page, "Accounts", name)).to_contain_text(f"key:{id_}")
                await page.get_by_label("Find an owner, a run or an account").fill("nightly")
                await expect(section(page, "Accounts").locator("tbody tr")).to_have_count(1)
                assert await violations(page) == []


async def test_without_budgets_the_page_says_how_to_add_them(browser: Browser, tmp_path: Path) -> None:
    async with Upstream() as up, Gateway(config(up, tmp_path)) as gw, signed_in(browser, gw.url) as page:
        await go(page, "budgets")
        await expect(page.get_by_role("heading", name="No budgets yet")).to_be_visible()
        await expect(page.locator("pre")).to_contain_text("per: owner")
        await expect(page.get_by_role("button", name="Top up")).to_be_hidden()


async def test_an_account_is_opened_by_the_first_top_up(browser: Browser, tmp_path: Path) -> None:
    async with (
        Upstream() as up,
        Gateway(config(up, tmp_path, billing={"enabled": True})) as gw,
        signed_in(browser, gw.url) as page,
    ):
        await go(page, "budgets")
        await expect(page.get_by_role("heading", name="No accounts yet")).to_be_visible()
        assert await violations(page) == []
