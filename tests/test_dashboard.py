"""The dashboard in a real browser with a real gateway."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.support import (
    Chunk,
    Headers,
    LastChunk,
    Stall,
    Upstream,
    Wait,
    chat_chunks,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS, USAGE
from tests.support.dashboard import TOKEN, go, signed_in, violations, watched
from tests.support.gateway import Gateway, one_provider
from tests.support.ports import free_port
from tests.support.steps import Script

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one browser

PAGES = ["overview", "models", "requests", "usage", "budgets", "keys", "limits", "services", "events", "try", "config"]
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
MARKUP = "<img src=x onerror=alert(1)>"


def settings(up: Upstream, folder: Path, **sections: Any) -> dict[str, Any]:
    """``m`` has two deployments: ``up-model``, and a fallback named ``spare``."""
    models = [
        {
            "name": "m",
            "provider": "up",
            "model": "up-model",
            "tags": ["quick", "code"],
            "weight": 2,
            "maxConcurrent": 8,
        },
        {"name": "spare", "provider": "up", "model": "spare-model"},
    ]
    routing = {"maxRetries": 2, "rateLimitRetries": 0, "retryDelay": 1}
    return one_provider(up, admin={"token": TOKEN}, dataDir=str(folder), models=models, routing=routing, **sections)


@pytest_asyncio.fixture(loop_scope="module")
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(answered)
        yield up


@pytest_asyncio.fixture(loop_scope="module")
async def gw(up: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    circuit = {"failureThreshold": 2, "successThreshold": 1, "cooldownPeriodSecs": 0.2}
    limits = {"enabled": True, "perClient": {"requestsPerMinute": 60}}
    async with Gateway(settings(up, tmp_path, circuitBreaker=circuit, rateLimiting=limits)) as gw:
        yield gw


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, gw: Gateway) -> AsyncIterator[Page]:
    async with signed_in(browser, gw.url) as page:
        yield page


def answered(request: Any) -> Script:
    if request.json.get("stream"):
        return sse_answer(*chat_events("Hello", " world", usage=USAGE))
    return json_answer(completion())


def failed(request: Any) -> Script:
    return json_answer(error_json(), 500)


def half_failed(request: Any) -> Script:
    """The model fails, its fallback answers."""
    return failed(request) if request.json["model"] == "up-model" else answered(request)


async def call(gw: Gateway, **members: Any) -> int:
    """The status of one request, as a client sends it."""
    client = await gw.client()
    answer = await client.fetch("POST", "/v1/chat/completions", json=CALL | members)
    client.close()
    return answer.status


async def state(gw: Gateway, name: str = "up/m") -> dict[str, Any]:
    """A deployment in the admin API."""
    client = await gw.client()
    answer = await client.fetch("GET", "/admin/state", headers=[("Authorization", f"Bearer {TOKEN}")])
    client.close()
    return next(each for each in answer.json["deployments"] if each["id"] == name)


def row(page: Page, name: str = "up/m") -> Any:
    return page.locator(f'tr[data-id="{name}"]')


# -- sign-in and sign-out ---------------------------------------------------------------------------------------


async def test_sign_in_with_the_token_and_sign_out(browser: Browser, gw: Gateway) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(gw.url)
        await page.get_by_label("Admin token").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_have_text("That is not the admin token.")
        await page.get_by_label("Admin token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert await context.cookies() == []


async def test_an_ended_session_shows_the_sign_in(browser: Browser, gw: Gateway) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"{gw.url}/admin/login?token={TOKEN}")
        await expect(page.locator("#link-words")).to_have_text("Live")
        await context.clear_cookies()
        await expect(page.get_by_text("Your session has ended.")).to_be_visible()


# -- pages ------------------------------------------------------------------------------


async def test_the_overview_counts_requests_live(page: Page, gw: Gateway) -> None:
    total = page.locator("dl.totals div", has=page.get_by_text("Requests", exact=True)).locator("dd")
    await expect(total).to_have_text("0")
    for _ in range(3):
        assert await call(gw) == 200
    await expect(total).to_have_text("3")
    await expect(page.locator("#figure-success b")).to_have_text("100%")
    await expect(page.get_by_text("All 2 deployments are in service.")).to_be_visible()


async def test_the_models_page_shows_the_state_of_the_api(page: Page, gw: Gateway) -> None:
    assert await call(gw, stream=True) == 200
    await go(page, "models")
    said = await state(gw)
    await expect(row(page)).to_have_count(1)
    for words in ("m", "Serving", "100%", "1 request", "0 / 8", *said["tags"]):
        await expect(row(page).get_by_text(words, exact=True).first).to_be_visible()
    assert await page.locator("tbody tr").count() == 2
    await page.get_by_role("searchbox").fill("spare")
    await expect(page.locator("tbody tr")).to_have_count(1)


async def test_the_limits_page_shows_buckets(page: Page, gw: Gateway) -> None:
    assert await call(gw) == 200
    await go(page, "limits")
    meter = page.get_by_role("meter").first
    await expect(meter).to_have_attribute("aria-valuemax", "60")
    await expect(page.get_by_text(re.compile(r"of 60$"))).to_be_visible()


async def test_the_configuration_is_shown_without_secrets(page: Page) -> None:
    await go(page, "config")
    await expect(page.locator(".settings")).to_contain_text("********")
    shown = await page.locator(".settings").inner_text()
    assert '"perClient"' in shown
    assert "secret-key" not in shown
    assert TOKEN not in shown


# -- a breaker ----------------------------------------------------------------------------------------


async def test_a_tripped_breaker_is_shown_and_closes_again(page: Page, gw: Gateway, up: Upstream) -> None:
    await go(page, "models")
    await expect(row(page)).to_have_attribute("data-tone", "ok")
    up.on(failed)
    for _ in range(2):
        assert await call(gw) >= 500
    await expect(row(page)).to_have_attribute("data-tone", "bad")
    await expect(row(page).locator(".pill")).to_have_text("Out of service")
    await expect(row(page)).to_contain_text("server error")

    await row(page).locator(".state a").click()  # the failure that opened it
    await expect(page.get_by_role("dialog").locator(".pill", has_text="server error")).to_be_visible()
    await page.get_by_role("button", name="Close").click()

    await go(page, "models")
    up.on(answered)

    async def recovered() -> None:
        while await call(gw) != 200:
            pass

    await within(recovered(), "the breaker to let a probe through")
    await expect(row(page)).to_have_attribute("data-tone", "ok")
    await expect(row(page).locator(".pill")).to_have_text("Serving")


async def test_navigation_while_a_request_is_closed_works(page: Page, gw: Gateway) -> None:
    assert await call(gw) == 200
    await go(page, "requests")
    await page.locator("main tbody a").first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.locator(".ident")).to_be_visible()
    # The page gets the close event of the dialog later than this listener.
    where = await page.evaluate("""async () => {
        const dialog = document.querySelector("dialog");
        dialog.addEventListener("close", () => (location.hash = "#/models"), { capture: true });
        const over = new Promise((resolve) => dialog.addEventListener("close", resolve));
        dialog.querySelector("[aria-label=Close]").click();
        await over;
        return location.hash;
    }""")
    assert where == "#/models"
    await expect(page.locator('main[data-page="models"] h1')).to_be_visible()


async def test_a_deployment_is_taken_out_of_service_after_a_confirmation(page: Page, gw: Gateway) -> None:
    await go(page, "models")
    await row(page).get_by_role("button", name="Take out of service up/m").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert (await state(gw))["breaker"]["state"] == "closed"

    await row(page).get_by_role("button", name="Take out of service up/m").click()
    await page.get_by_role("dialog").get_by_role("button", name="Take out of service").click()
    await expect(row(page).locator(".pill")).to_have_text("Out of service")
    await expect(row(page)).to_contain_text("taken out by an operator, breaker open")
    assert await call(gw) != 200

    await row(page).get_by_role("button", name="Put back up/m").click()
    await expect(row(page).locator(".pill")).to_have_text("Serving")
    assert await call(gw) == 200


# -- requests -----------------------------------------------------------------------------------------


async def test_requests_appear_live_and_open_the_waterfall_of_their_attempts(
    page: Page, gw: Gateway, up: Upstream
) -> None:
    await go(page, "requests")
    await expect(page.get_by_text("No requests yet")).to_be_visible()
    up.on(half_failed)
    assert await call(gw, model=["m", "spare"]) == 200
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_role("link", name=re.compile("^Request of")).click()
    sheet = page.get_by_role("dialog")
    await expect(sheet.locator(".waterfall li")).to_have_count(2)
    await expect(sheet.locator(".waterfall li").first).to_contain_text("server error")
    await expect(sheet.locator(".waterfall li").last).to_contain_text("answered")
    await expect(sheet.locator(".waterfall li").last).to_contain_text("9 tokens in, 2 out; no price is known")
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile("#/requests$"))


async def test_the_list_of_requests_can_be_filtered_and_paused(page: Page, gw: Gateway, up: Upstream) -> None:
    await go(page, "requests")
    up.on(half_failed)
    assert await call(gw) >= 500
    assert await call(gw, model="spare") == 200
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    await page.get_by_label("Filter by outcome").select_option("error")
    await expect(rows).to_have_count(1)
    await page.get_by_label("Filter by outcome").select_option("")
    await page.get_by_label("Search by model").fill("spare")
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Pause").click()
    assert await call(gw, model="spare") == 200
    await expect(page.get_by_role("button", name="Continue (1 new)")).to_be_visible()
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Continue").click()
    await expect(rows).to_have_count(2)


# -- try it -------------------------------------------------------------------------------------------


async def test_a_streamed_response_appears_live_and_as_text_only(page: Page, up: Upstream) -> None:
    hold = asyncio.Event()
    first, rest = chat_chunks("Hello ", MARKUP, finish=None, done=False), chat_chunks(" world", usage=USAGE)
    up.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(first), Wait(hold), Chunk(rest), LastChunk()])
    await go(page, "try")
    await page.get_by_label("Model").fill("m")
    await page.get_by_role("button", name="Send").click()
    answer = page.locator(".answer")
    await expect(answer).to_have_text(f"Hello {MARKUP}")
    await expect(page.locator(".try-answer .pill")).to_have_text("Streaming")
    hold.set()
    await expect(answer).to_have_text(f"Hello {MARKUP} world")
    await expect(page.locator(".try-answer .pill")).to_have_text("Done")
    assert await answer.locator("img").count() == 0
    await expect(page.locator(".router")).to_contain_text("up")
    await expect(page.locator(".figures-row")).to_contain_text("9 in, 2 out")
    await page.get_by_role("link", name="Show the waterfall").click()
    await expect(page.get_by_role("dialog").locator(".waterfall li")).to_have_count(1)


async def test_stop_cancels_the_upstream_request(page: Page, up: Upstream) -> None:
    up.on(lambda request: [Headers(200, SSE_HEADERS), Chunk(chat_chunks("Hello", finish=None, done=False)), Stall()])
    await go(page, "try")
    await page.get_by_label("Model").fill("m")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".answer")).to_have_text("Hello")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator(".try-answer .pill")).to_have_text("Stopped")
    await until(lambda: not up.open_connections, "the provider's connection to be gone")


async def test_a_complete_response_has_code_snippets(page: Page) -> None:
    await go(page, "try")
    await page.get_by_label("Model").fill("m, spare")
    await page.get_by_label("Stream", exact=True).uncheck()
    await page.get_by_label("Prompt", exact=True).fill("It's me")
    code = page.locator(".snippets code")
    await expect(code).to_contain_text("YOUR_API_KEY")
    await expect(code).to_contain_text("It'\\''s me")
    await page.get_by_role("button", name="Python").click()
    await expect(code).to_contain_text('extra_body={"model": ["m", "spare"]}')
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".answer")).to_have_text("Hello world")
    await expect(page.locator(".router")).to_contain_text("Attempts")


@pytest.mark.parametrize(
    ("api", "model", "stream", "endpoint", "code"),
    [
        ("Anthropic", "demo-reasoning", True, "messages \u00b7 Anthropic", "client.messages.stream("),
        ("Anthropic", "demo-instant", False, "messages \u00b7 Anthropic", "client.messages.create("),
        ("Google", "demo-instant", True, "streamGenerateContent \u00b7 Google", "generate_content_stream("),
        ("Google", "demo-reasoning", False, "generateContent \u00b7 Google", "client.models.generate_content("),
    ],
)
async def test_a_prompt_can_be_sent_with_each_api(
    browser: Browser, api: str, model: str, stream: bool, endpoint: str, code: str
) -> None:
    source = {"demo": "auto", "admin": {"token": TOKEN}}
    async with Gateway(source) as gw, await browser.new_context() as context:
        page = await context.new_page()
        errors, strayed = watched(page, gw.url)
        await page.goto(f"{gw.url}/admin/login?token={TOKEN}")
        await expect(page.locator("#link-words")).to_have_text("Live")
        await go(page, "try")
        await page.get_by_label("API").select_option(api)
        await page.get_by_label("Model").fill(model)
        await page.get_by_label("Stream", exact=True).set_checked(stream)
        await page.get_by_label("Prompt", exact=True).fill("blue elephants")
        await page.get_by_role("button", name="Python").click()
        await expect(page.locator(".snippets code")).to_contain_text(code)
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator(".try-answer .pill")).to_have_text("Done")
        await expect(page.locator(".answer")).to_contain_text("blue elephants")
        if api == "Anthropic" and model == "demo-reasoning":
            await expect(page.locator(".thoughts")).to_contain_text("blue elephants")
        await expect(page.locator(".figures-row")).to_contain_text("2 in, ")
        await expect(page.locator(".router")).to_contain_text(model)
        await page.get_by_role("link", name="Show the waterfall").click()
        await expect(page.get_by_role("dialog")).to_contain_text(endpoint)
        assert (errors, strayed) == ([], [])


async def test_criteria_are_headers_where_the_body_has_none(page: Page) -> None:
    await go(page, "try")
    code = page.locator(".snippets code")
    await page.get_by_text("Filters").click()
    await page.get_by_label("Tags").fill("quick, code")
    await expect(code).to_contain_text('"tags": [')
    await page.get_by_label("API").select_option("Google")
    await expect(code).to_contain_text("x-router-tags: quick,code")
    await expect(code).to_contain_text("/v1beta/models/auto:streamGenerateContent?alt=sse")
    await page.get_by_label("API").select_option("Anthropic")
    await expect(code).to_contain_text("anthropic-version: 2023-06-01")
    await page.get_by_role("button", name="Python").click()
    await expect(code).to_contain_text('extra_headers={"x-router-tags": "quick,code"}')


# -- the frame ----------------------------------------------------------------------------------------


async def test_the_page_reconnects_after_a_restart(browser: Browser, up: Upstream, tmp_path: Path) -> None:
    source = settings(up, tmp_path, server={"port": free_port()})
    async with await browser.new_context() as context:
        page = await context.new_page()
        async with Gateway(source) as first:
            await page.goto(f"{first.url}/admin/login?token={TOKEN}")
            await expect(page.locator("#link-words")).to_have_text("Live")
        await expect(page.locator("#link-words")).to_have_text("Reconnecting")
        async with Gateway(source) as second:
            await expect(page.locator("#link-words")).to_have_text("Live")
            assert await call(second) == 200
            await go(page, "requests")
            await expect(page.locator("tbody tr")).to_have_count(1)


async def test_a_request_whose_event_arrives_before_the_list_is_shown(page: Page, gw: Gateway) -> None:
    received = """() => new Promise((resolve) => {
        const source = new EventSource("/admin/events");
        source.addEventListener("hello", () => (window.listening = true));
        source.addEventListener("request", () => { source.close(); resolve(true); });
    })"""

    async def slowly(route: Route) -> None:
        empty = await route.fetch()
        event = asyncio.ensure_future(page.evaluate(received))
        await page.wait_for_function("() => window.listening")
        assert await call(gw) == 200
        await event
        await route.fulfill(response=empty)

    await page.route("**/admin/requests?*", slowly, times=1)
    await page.reload()
    await go(page, "requests")
    await expect(page.locator("tbody tr")).to_have_count(1)


async def test_the_theme_is_stored(page: Page) -> None:
    button = page.get_by_role("button", name=re.compile("^Theme: "))
    await expect(button).to_have_accessible_name("Theme: system")
    await button.click()
    await button.click()
    await page.reload()
    await expect(button).to_have_accessible_name("Theme: dark")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_every_page_is_reachable_by_keyboard(page: Page) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    for label in ("Sluice, overview", "Overview", "Models"):
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name=label, exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Models")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_page_is_accessible_and_fits(theme: str, width: int, page: Page, gw: Gateway, up: Upstream) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    up.on(half_failed)
    assert await call(gw, model=["m", "spare"]) == 200
    sheet = f"requests/{(await gw.settled())['request_id']}"
    for name in [*PAGES, sheet]:
        await go(page, name)
        await expect(page.locator(".loading:visible")).to_have_count(0)
        assert await violations(page) == [], name
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
