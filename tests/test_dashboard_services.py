"""The page of services in a real browser: their states, and all that can be changed of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from proxy.addresses.live import LiveAddress
from tests.support import Upstream
from tests.support.answers import json_answer
from tests.support.dashboard import TOKEN, go, signed_in, violations
from tests.support.gateway import Gateway, one_provider

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("dashboard")]

A, B, C = (f"http://10.9.9.{number}:8000" for number in (1, 2, 3))
MARKUP = "<img src=x onerror=alert(1)>"
EACH_CHECK_COUNTS = {"intervalSecs": 0.1, "timeoutSecs": 60, "healthy": 1, "unhealthy": 1}
CONFIGURED = {
    "chat": {"addresses": [{"url": A, "weight": 2, "region": "eu"}, {"url": B}], "strategy": "least_connections"},
    "idle": {},
}
ROUTES = [
    {"path": "/chat", "service": "chat", "methods": ["GET", "POST"], "host": "chat.example"},
    {"path": "/gone", "service": "not-there"},
]


def config(up: Upstream, folder: Path, **sections: Any) -> dict[str, Any]:
    """Without a database, what is made by the API lasts as long as the gateway."""
    return one_provider(up, admin={"token": TOKEN}, dataDir=str(folder), database={"enabled": False}, **sections)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gw(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("data")
    file = folder / "consul.yml"
    file.write_text(f"found: [{C}]")
    services = CONFIGURED | {"found": {"file": str(file)}, "lost": {"file": str(file)}}
    async with Upstream() as up, Gateway(config(up, folder, services=services, routes=ROUTES)) as gw:
        yield gw


@pytest_asyncio.fixture(loop_scope="module")
async def api(gw: Gateway) -> AsyncIterator[Api]:
    """Services and routes that a test makes are deleted at its end."""
    made = Api(gw)
    yield made
    await made.clear()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def left(page: Page, api: Api) -> AsyncIterator[None]:
    """Before the services of a test are deleted, the page leaves them: it would look for them once more."""
    yield
    await go(page, "config")


@pytest_asyncio.fixture(loop_scope="module")
async def refused(browser: Browser, gw: Gateway) -> AsyncIterator[Page]:
    """A page for tests in which the API refuses something: the browser writes that to the console."""
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"{gw.url}/admin/login?token={TOKEN}")
        await expect(page.locator("#link-words")).to_have_text("Live")
        yield page


class Api:
    def __init__(self, gw: Gateway) -> None:
        self._gw = gw

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        client = await self._gw.client()
        bearer = [("Authorization", f"Bearer {TOKEN}")]
        answer = await client.fetch(method, path, headers=bearer, **({} if body is None else {"json": body}))
        client.close()
        assert answer.status < 300, answer.body
        return answer.json if answer.body else None

    async def make(self, name: str, *urls: str, **settings: Any) -> None:
        await self.call("POST", "/services", {"name": name, "addresses": [{"url": url} for url in urls], **settings})

    async def service(self, name: str) -> Any:
        return await self.call("GET", f"/services/{name}")

    async def address(self, name: str, url: str) -> Any:
        return next(each for each in (await self.service(name))["addresses"] if each["url"] == url)

    def live(self, name: str, url: str) -> LiveAddress:
        """The live state in the gateway, as requests and health checks change it."""
        return next(each for each in self._gw.app.services.live.book.group(name).addresses if each.url == url)

    def note_health(self, name: str, url: str, healthy: bool) -> None:
        self._gw.app.services.live.book.note_health(self.live(name, url), healthy, asyncio.get_running_loop().time())

    async def clear(self) -> None:
        for route in (await self.call("GET", "/routes"))["data"]:
            if route["source"] != "file":
                await self.call("DELETE", f"/routes/{route['id']}")
        for service in (await self.call("GET", "/services"))["data"]:
            if service["source"] != "file":
                await self.call("DELETE", f"/services/{service['name']}")
        await self.call("PATCH", f"/services/chat/addresses?url={A}", {"drained": False, "weight": None})
        await self.call("PUT", "/services/chat/weight", {"weight": None})


def row(page: Page, name: str) -> Any:
    return page.locator(f'.services tr[data-name="{name}"]')


def routes(page: Page) -> Any:
    return page.locator(".routes tbody tr")


def dialog(page: Page) -> Any:
    return page.get_by_role("dialog").last


def address(page: Page, url: str) -> Any:
    return page.locator(f'.address[data-url="{url}"]')


def toast(page: Page) -> Any:
    return page.locator(".toast").last


async def fresh(page: Page, name: str = "services") -> None:
    """The page or a sheet, also if it was there before."""
    await go(page, "config")
    await go(page, name)


async def test_services_are_shown_with_their_states(page: Page, api: Api) -> None:
    await api.make("models", A, B, C)
    await api.call("PATCH", f"/services/models/addresses?url={A}", {"drained": True})
    await fresh(page)
    await expect(page.locator(".page-head")).to_contain_text("5 services, 2 routes.")
    await expect(row(page, "chat")).to_contain_text("chatin the configurationUp2 of 20")
    await expect(row(page, "models")).to_contain_text("modelsby the APIDegraded1 drained2 of 3")
    await expect(row(page, "idle")).to_contain_text("No addresses0 of 0")
    await expect(row(page, "found")).to_contain_text("Up1 of 1")
    await expect(row(page, "lost")).to_contain_text("No addressesFile has no addresses0 of 0")
    await expect(routes(page)).to_have_count(2)
    await expect(routes(page).filter(has_text="chat.example/chat")).to_contain_text("GET, POSTchatin the configuration")
    await expect(routes(page).filter(has_text="/gone")).to_contain_text("not-there is not defined: status 503")
    await expect(routes(page).get_by_role("button")).to_have_count(0)  # those of the configuration stay


async def test_the_page_follows_what_happens(page: Page, api: Api) -> None:
    await fresh(page)
    await expect(row(page, "models")).to_have_count(0)
    await api.make("models", A)
    await expect(row(page, "models")).to_contain_text("Up1 of 1")
    api.note_health("models", A, False)
    await expect(row(page, "models")).to_contain_text("Down1 unhealthy0 of 1")
    api.note_health("models", A, True)
    await expect(row(page, "models")).to_contain_text("Up1 of 1")
    await api.call("DELETE", "/services/models")
    await expect(row(page, "models")).to_have_count(0)


async def test_a_service_is_found_by_its_name(page: Page, api: Api) -> None:
    await fresh(page)
    await page.get_by_label("Find a service").fill("CHA")
    await expect(page.locator(".services tbody tr")).to_have_count(1)
    await expect(row(page, "chat")).to_be_visible()
    await page.get_by_label("Find a service").fill("nothing-like-this")
    await expect(page.get_by_role("heading", name="No service matches")).to_be_visible()
    await page.get_by_label("Find a service").fill("")
    await expect(row(page, "idle")).to_be_visible()


async def test_a_service_is_added_by_keyboard_with_a_health_check(page: Page, api: Api) -> None:
    await fresh(page)
    await page.get_by_role("link", name="Add a service").focus()
    await page.keyboard.press("Enter")
    await expect(dialog(page).get_by_label("Name")).to_be_focused()
    await page.keyboard.type("models")
    await page.keyboard.press("Tab")
    await page.keyboard.type(f"{A}")
    await page.keyboard.press("Enter")
    await page.keyboard.type(f"{B}")
    await page.keyboard.press("Tab")
    await page.keyboard.type("/health")
    await page.keyboard.press("Enter")
    await expect(toast(page)).to_have_text("models was added.")
    await expect(page).to_have_url(re.compile("#/services/models$"))
    await expect(dialog(page)).to_contain_text("Health checks/health")
    await expect(page.locator(".address")).to_have_count(2)
    made = await api.service("models")
    assert [each["url"] for each in made["addresses"]] == [A, B]
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(row(page, "models")).to_be_visible()


async def test_a_mistake_of_a_new_service_is_shown_in_the_form(refused: Page, api: Api) -> None:
    page = refused
    await fresh(page, "services/+service")
    await dialog(page).get_by_label("Name").fill("models")
    await dialog(page).get_by_label("Addresses").fill("ftp://nowhere")
    await dialog(page).get_by_role("button", name="Add the service").click()
    words = "ftp://nowhere: expected a URL that begins with http:// or https://."
    await expect(dialog(page).get_by_label("Addresses")).to_have_accessible_description(
        f"{words} One on each line. Weights can be changed afterwards."
    )
    await expect(dialog(page).get_by_label("Addresses")).to_be_focused()
    await expect(dialog(page).get_by_label("Name")).not_to_have_attribute("aria-invalid", "true")
    await expect(dialog(page).get_by_role("alert")).to_be_hidden()
    assert await violations(page) == []
    await dialog(page).get_by_label("Addresses").fill(A)
    await dialog(page).get_by_label("Name").fill("chat")
    await dialog(page).get_by_role("button", name="Add the service").click()
    await expect(dialog(page).get_by_label("Name")).to_have_accessible_description("There is a service chat already.")
    await expect(dialog(page).get_by_label("Addresses")).not_to_have_attribute("aria-invalid", "true")


async def test_each_mistake_of_a_form_is_next_to_its_field(refused: Page, api: Api) -> None:
    page = refused
    await fresh(page, "services/+service")
    await dialog(page).get_by_label("Name").fill("two words")
    await dialog(page).get_by_label("Addresses").fill(f"{A}\nnonsense\nftp://nowhere")
    await dialog(page).get_by_label("Health check").fill("health")
    await dialog(page).get_by_role("button", name="Add the service").click()
    await expect(dialog(page).locator(".mistake")).to_have_text(
        [
            re.compile("^A service's name may contain only .*[.]$"),
            re.compile("^nonsense: expected a URL.*ftp://nowhere: expected a URL"),
            "Must begin with a slash.",
        ]
    )
    await expect(dialog(page).get_by_label("Name")).to_be_focused()


async def test_addresses_show_their_live_state(page: Page, api: Api) -> None:
    await api.make("models", A, B, C, breaker={"failureThreshold": 1, "cooldownPeriodSecs": 600})
    live = api.live("models", A)
    live.in_flight, live.requests, live.failures, live.latency = 3, 1204, 2, 0.042
    api.note_health("models", B, False)
    breaker, now = api.live("models", C).breaker, asyncio.get_running_loop().time()
    permit = breaker.acquire("", now)
    assert permit is not None
    breaker.fail(permit, now, MARKUP)
    await fresh(page, "services/models")
    await expect(address(page, A)).to_contain_text("Serving")
    await expect(address(page, A)).to_contain_text(
        re.compile(r"In flight3Requests1\u202f204Failures2Latency42\u202fms")
    )
    await expect(address(page, A)).to_contain_text("Found insettings")
    await expect(address(page, B)).to_contain_text("Unhealthy")
    await expect(address(page, B)).to_contain_text("The health check fails")
    await expect(address(page, C)).to_contain_text("Ejected")
    await expect(address(page, C)).to_contain_text(f"Requests to it failed: {MARKUP}.")
    await expect(dialog(page)).to_contain_text("Degraded")
    assert await violations(page) == []


async def test_an_address_is_drained_and_undrained(page: Page, api: Api) -> None:
    await fresh(page, "services/chat")
    await expect(dialog(page)).to_contain_text("This service is in the configuration")
    await expect(dialog(page)).to_contain_text("Strategyleast connections")
    await expect(dialog(page).get_by_role("button", name="Delete the service")).to_have_count(0)
    await expect(dialog(page).get_by_role("button", name=f"Remove {A}")).to_be_hidden()
    await expect(dialog(page).get_by_role("button", name="Add the address")).to_have_count(0)
    await address(page, A).get_by_role("button", name="Drain").click()
    await expect(dialog(page)).to_contain_text("Running requests continue.")
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog.ask")).to_have_count(0)
    assert not (await api.address("chat", A))["drained"]
    await address(page, A).get_by_role("button", name="Drain").click()
    await page.locator("dialog.ask").get_by_role("button", name="Drain").click()
    await expect(address(page, A).locator(".pill")).to_have_text("Drained")
    assert (await api.address("chat", A))["drained"]
    await address(page, A).get_by_role("button", name="Undrain").click()
    await expect(address(page, A).locator(".pill")).to_have_text("Serving")
    assert not (await api.address("chat", A))["drained"]


async def test_weights_are_changed(page: Page, api: Api) -> None:
    await fresh(page, "services/chat")
    weight = dialog(page).get_by_label(f"Weight of {A}")
    await expect(weight).to_have_value("2")
    await weight.fill("0.5")
    await page.keyboard.press("Enter")
    await expect(toast(page)).to_have_text(f"{A} has the weight 0.5.")
    assert (await api.address("chat", A))["weight"] == 0.5
    await dialog(page).get_by_label("Weight of chat").fill("3")
    await page.keyboard.press("Enter")
    await expect(toast(page)).to_have_text("chat has the weight 3.")
    assert (await api.service("chat"))["weight"] == 3
    await api.call("PATCH", f"/services/chat/addresses?url={A}", {"weight": 7})
    await page.get_by_role("button", name="Close").focus()
    await expect(weight).to_have_value("7")  # it follows what others set


async def test_a_weight_that_is_being_edited_is_left_alone(page: Page, api: Api) -> None:
    await api.make("models", A)
    await fresh(page, "services/models")
    weight = dialog(page).get_by_label(f"Weight of {A}")
    await weight.fill("5")
    await page.get_by_role("button", name="Close").focus()
    api.live("models", A).requests = 17
    await expect(address(page, A)).to_contain_text("Requests17")  # it was updated meanwhile
    await expect(weight).to_have_value("5")


async def test_a_toast_is_in_front_of_the_open_sheet(page: Page, api: Api) -> None:
    await api.make("models", A)
    await fresh(page, "services/models")
    await dialog(page).get_by_label(f"Weight of {A}").fill("4")
    await page.keyboard.press("Enter")
    message = dialog(page).get_by_role("status").get_by_text(f"{A} has the weight 4.")
    await expect(message).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.locator("body > .toasts")).to_have_count(1)  # it outlives the sheet


async def test_addresses_are_added_and_removed(refused: Page, api: Api) -> None:
    page = refused
    await api.make("models", A)
    await fresh(page, "services/models")
    await expect(address(page, A)).to_be_visible()
    await dialog(page).get_by_label("Address", exact=True).fill(B)
    await dialog(page).get_by_label("Weight", exact=True).fill("4")
    await page.keyboard.press("Enter")
    await expect(address(page, B)).to_be_visible()
    await dialog(page).get_by_label("Weight", exact=True).fill("1")
    assert (await api.address("models", B))["weight"] == 4
    await dialog(page).get_by_label("Address", exact=True).fill("nonsense")
    await page.keyboard.press("Enter")
    await expect(dialog(page).get_by_label("Address", exact=True)).to_have_accessible_description(
        "Expected a URL that begins with http:// or https://."
    )
    await dialog(page).get_by_label("Address", exact=True).fill(B)
    await page.keyboard.press("Enter")
    await expect(dialog(page).locator(".mistake")).to_have_text("The service has this address already.")
    assert (await api.address("models", B))["weight"] == 4  # the form has another one
    await address(page, A).get_by_role("button", name=f"Remove {A}").click()
    await page.locator("dialog.ask").get_by_role("button", name="Remove").click()
    await expect(address(page, A)).to_have_count(0)
    assert [each["url"] for each in (await api.service("models"))["addresses"]] == [B]


async def test_a_service_is_deleted(refused: Page, api: Api) -> None:
    page = refused
    await api.make("models", A)
    await api.call("POST", "/routes", {"path": "/models-of-ours", "service": "models"})
    await fresh(page, "services/models")
    await expect(dialog(page)).to_contain_text("Defined by the API.")
    await dialog(page).get_by_role("button", name="Delete the service").click()
    await page.locator("dialog.ask").get_by_role("button", name="Delete").click()
    await expect(page.locator('.toast[data-tone="bad"]').last).to_contain_text("Routes lead to this service")
    await page.get_by_role("button", name="Close").click()
    await routes(page).get_by_role("button", name="Delete the route /models-of-ours").click()
    await page.locator("dialog.ask").get_by_role("button", name="Delete").click()
    await expect(routes(page).filter(has_text="/models-of-ours")).to_have_count(0)
    await go(page, "services/models")
    await dialog(page).get_by_role("button", name="Delete the service").click()
    await page.locator("dialog.ask").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(row(page, "models")).to_have_count(0)
    await expect(page).to_have_url(re.compile("#/services$"))


async def test_a_route_is_added(refused: Page, api: Api) -> None:
    page = refused
    await fresh(page)
    await page.get_by_role("link", name="Add a route").click()
    await dialog(page).get_by_role("textbox", name="Path").fill("/v1/chat/completions")
    await dialog(page).get_by_label("Service").fill("chat")
    await dialog(page).get_by_role("button", name="Add the route").click()
    await expect(dialog(page).get_by_role("textbox", name="Path")).to_have_accessible_description(
        re.compile("^/v1/chat/completions is the gateway's own path, which no route can take[.]")
    )
    await dialog(page).get_by_role("textbox", name="Path").fill("/api/v1/analyze")
    await dialog(page).get_by_label("Methods").fill("get, post")
    await dialog(page).get_by_label("Public").check()
    await dialog(page).get_by_role("button", name="Add the route").click()
    await expect(toast(page)).to_have_text("Requests for /api/v1/analyze go to chat.")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    line = routes(page).filter(has_text="/api/v1/analyze")
    await expect(line).to_contain_text("GET, POST \u00b7 publicchatby the API")
    [made] = [each for each in (await api.call("GET", "/routes"))["data"] if each["path"] == "/api/v1/analyze"]
    assert (made["methods"], made["settings"]["public"]) == (["GET", "POST"], True)
    await line.get_by_role("link", name="chat").click()
    await expect(dialog(page)).to_contain_text("This service is in the configuration")


async def test_a_route_may_be_added_before_its_service(page: Page, api: Api) -> None:
    await fresh(page, "services/+route")
    await dialog(page).get_by_role("textbox", name="Path").fill("/early")
    await dialog(page).get_by_label("Service").fill("later")
    await dialog(page).get_by_role("button", name="Add the route").click()
    words = "Requests for /early go to later, which is not defined yet: they get status 503."
    await expect(toast(page)).to_have_text(words)


async def test_a_form_does_not_replace_a_route(refused: Page, api: Api) -> None:
    page = refused
    await api.make("models", A)
    await api.call("POST", "/routes", {"path": "/models-of-ours", "service": "models"})
    for path in ("/models-of-ours", "/gone"):
        await fresh(page, "services/+route")
        await dialog(page).get_by_role("textbox", name="Path").fill(path)
        await dialog(page).get_by_label("Service").fill("chat")
        await dialog(page).get_by_role("button", name="Add the route").click()
        await expect(dialog(page).locator(".mistake")).to_have_text(
            "There is such a route already. Delete it first to replace it."
        )
    [made] = [each for each in (await api.call("GET", "/routes"))["data"] if each["path"] == "/models-of-ours"]
    assert made["service"] == "models"


async def test_what_was_changed_meanwhile_is_not_deleted(refused: Page, api: Api) -> None:
    page = refused
    await api.make("models", A)
    await api.call("POST", "/routes", {"path": "/models-of-ours", "service": "chat"})
    await fresh(page)
    await routes(page).get_by_role("button", name="Delete the route /models-of-ours").click()
    await api.call("POST", "/routes", {"path": "/models-of-ours", "service": "models", "public": True})
    await page.locator("dialog.ask").get_by_role("button", name="Delete").click()
    await expect(toast(page)).to_have_text("The route was changed meanwhile, so it was not deleted. Look at it again.")
    await expect(routes(page).filter(has_text="/models-of-ours")).to_contain_text("publicmodels")
    await api.call("DELETE", "/routes/models-of-ours")
    await fresh(page, "services/models")
    await dialog(page).get_by_role("button", name="Delete the service").click()
    await api.call("POST", "/services", {"name": "models", "url": B})
    await page.locator("dialog.ask").get_by_role("button", name="Delete").click()
    await expect(toast(page)).to_have_text("models was changed meanwhile, so it was not deleted. Look at it again.")
    await expect(address(page, B)).to_be_visible()
    assert len((await api.service("models"))["addresses"]) == 2


async def test_the_history_of_health_is_shown(page: Page, api: Api) -> None:
    async with Upstream() as backend:
        backend.on(lambda request: json_answer({}))
        await api.make("models", backend.url, health={"path": "/health", **EACH_CHECK_COUNTS})
        await fresh(page, "services/models")
        shown = address(page, backend.url)
        await expect(shown).to_contain_text("History of its health: 1 change")
        backend.on(lambda request: json_answer({}, 503))
        await expect(shown.locator(".pill").first).to_have_text("Unhealthy")
        await expect(shown.locator(".said")).to_have_text("The health check fails: status 503.")
        await expect(dialog(page).locator(".verdict")).to_contain_text("Down")
        backend.on(lambda request: json_answer({}))
        await expect(shown.locator(".pill").first).to_have_text("Serving")
        await shown.get_by_text("History of its health: 3 changes").focus()
        await page.keyboard.press("Enter")
        await expect(shown.locator(".health-changes li")).to_have_text(
            [re.compile(rf"^\d\d:\d\d:\d\d{words}$") for words in ("Healthy", "Unhealthystatus 503", "Healthy")]
        )
        [checked] = (await api.call("GET", "/services/models/health"))["addresses"]
        times = [datetime.fromtimestamp(each["at"], UTC) for each in checked["changes"]]
        assert times == sorted(times, reverse=True)
        for number, at in enumerate(times):
            line = shown.locator(".health-changes time").nth(number)
            exact = f"{at:%Y-%m-%dT%H:%M:%S}"
            await expect(line).to_have_attribute("datetime", re.compile(f"^{exact}"))
        assert await violations(page) == []


async def test_an_address_is_found_among_many(page: Page, api: Api) -> None:
    urls = [f"http://10.9.8.{number}:8000" for number in range(1, 121)]
    await api.make("fleet", *urls)
    await api.call("PATCH", f"/services/fleet/addresses?url={urls[-1]}", {"drained": True})
    await fresh(page)
    await expect(row(page, "fleet")).to_contain_text("Degraded1 drained119 of 120")
    await go(page, "services/fleet")
    await expect(dialog(page)).to_contain_text("119 serving, 1 drained")
    await expect(page.locator(".address")).to_have_count(100)
    await expect(dialog(page)).to_contain_text("The first 100 of 120: search for others.")
    await dialog(page).get_by_label("Find an address").fill("DRAINED")
    await expect(page.locator(".address")).to_have_count(1)
    await expect(address(page, urls[-1])).to_be_visible()
    await dialog(page).get_by_label("Find an address").fill("10.9.8.77:")
    await expect(address(page, urls[76])).to_be_visible()
    await dialog(page).get_by_label("Find an address").fill("nothing-like-this")
    await expect(dialog(page)).to_contain_text("No address matches.")


async def test_where_addresses_are_found_is_shown(page: Page, api: Api) -> None:
    await fresh(page, "services/found")
    await expect(dialog(page).locator(".found li")).to_contain_text("FileUp1 address, last answer at")
    await expect(address(page, C)).to_contain_text("Found inFile")
    await fresh(page, "services/lost")
    await expect(dialog(page).locator(".found li")).to_contain_text('has no service "lost"')
    await expect(dialog(page)).to_contain_text("None: its requests get status 503.")


async def test_a_service_that_is_gone_says_so(refused: Page, api: Api) -> None:
    page = refused
    await api.make("models", A)
    await fresh(page, "services/models")
    await expect(address(page, A)).to_be_visible()
    await api.call("DELETE", "/services/models")
    await expect(dialog(page).get_by_role("heading", name="There is no such service")).to_be_visible()
    await api.make("models", B)
    await expect(address(page, B)).to_be_visible()
    await expect(address(page, A)).to_have_count(0)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("dark", 360)])
async def test_the_page_is_accessible_and_fits(theme: str, width: int, page: Page, api: Api) -> None:
    await api.make("models-with-a-rather-long-name-that-wraps", A, B)
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    for name, shown in (
        ("services", row(page, "models-with-a-rather-long-name-that-wraps")),
        ("services/models-with-a-rather-long-name-that-wraps", address(page, B)),
        ("services/found", page.locator(".found li")),
        ("services/+service", dialog(page).get_by_label("Addresses")),
        ("services/+route", dialog(page).get_by_role("textbox", name="Path")),
    ):
        await fresh(page, name)
        await expect(shown).to_be_visible()
        assert await violations(page) == [], name
        wide = "document.documentElement, ...document.querySelectorAll('dialog, .sheet-body')"
        assert await page.evaluate(f"[{wide}].every((each) => each.scrollWidth <= each.clientWidth)"), name
    await page.set_viewport_size({"width": 1280, "height": 800})


async def test_without_services_the_page_says_how_to_add_them(browser: Browser, tmp_path: Path) -> None:
    async with Upstream() as up, Gateway(config(up, tmp_path)) as gw, signed_in(browser, gw.url) as page:
        await go(page, "services")
        await expect(page.get_by_role("heading", name="No services yet")).to_be_visible()
        await expect(page.locator("pre")).to_contain_text("addresses:")
        await expect(page.locator(".routes")).to_be_hidden()
        assert await violations(page) == []
