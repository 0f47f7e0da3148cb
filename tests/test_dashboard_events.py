"""The page of events in a real browser: receivers in every state, dead events, dead letters."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy import delete, insert, select, update

from proxy.control.events.letters import BrokerLetters
from proxy.database.opening import LazyEngine
from proxy.database.tables import EVENT_RECEIVERS, OUTBOX
from proxy.events.base import webhook_name
from proxy.ledger.spool.folder import spool_folder
from proxy.ledger.spool.locks import RecorderLock
from tests.support import Upstream, json_answer
from tests.support.dashboard import TOKEN, go, signed_in, violations
from tests.support.gateway import Gateway, one_provider

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("dashboard")]

HOSTS = ("up", "late", "failing", "gone", "new")
URLS = {name: f"http://{name}.invalid:1/path-{name}" for name in HOSTS}
NAMES = {"broker": "broker", "left": "webhook:left.invalid:0a1b2c3d"} | {
    host: webhook_name(url) for host, url in URLS.items()
}
MARKUP = "<img src=x onerror=alert(1)>"
FAILED = "status 500"


class Outbox:
    """The outbox of a gateway without a recorder: nothing is sent, and nothing dies, but what the test says."""

    def __init__(self, engine: LazyEngine) -> None:
        self._engine = engine.get()

    async def run(self, statement: Any) -> Any:
        async def work(connection: Any) -> Any:
            found = await connection.execute(statement)
            return found.fetchall() if found.returns_rows else None

        return await self._engine.write(work)

    async def know(self, receiver: str, **members: Any) -> None:
        """``until`` is when the process that sends to it gives it up."""
        row = {"name": NAMES[receiver], "holder": "the test", "until": 1e11} | members
        await self.run(delete(EVENT_RECEIVERS).where(EVENT_RECEIVERS.c.name == row["name"]))
        await self.run(insert(EVENT_RECEIVERS).values(row))

    async def put(self, receiver: str, ago: float = 0.0, **members: Any) -> None:
        """An event that happened so many seconds ago, and waits."""
        id_ = members.pop("id", "evt_1")
        body = {"specversion": "1.0", "id": id_, "type": "io.sluice.ai_usage", "data": {"owner": MARKUP}}
        row = {
            "id": id_,
            "receiver": NAMES[receiver],
            "type": "ai_usage",
            "at": time.time() - ago,
            "body": msgspec.json.encode(body).decode(),
        }
        await self.run(insert(OUTBOX).values(row | members))

    async def die(self, receiver: str, *ids: str, error: str = FAILED) -> None:
        """Dead events, the first of which died last."""
        now = time.time()
        for number, id_ in enumerate(ids):
            await self.put(receiver, 90_000, id=id_, tries=12, dead_at=now - number, error=error)

    async def ids(self, *, dead: bool) -> list[str]:
        """In the order of the ids."""
        is_dead = OUTBOX.c.dead_at.is_not(None)
        query = select(OUTBOX.c.id).where(is_dead if dead else ~is_dead).order_by(OUTBOX.c.id)
        return [row.id for row in await self.run(query)]

    async def clear(self) -> None:
        await self.run(delete(OUTBOX))


def config(up: Upstream, folder: Path, **sections: Any) -> dict[str, Any]:
    return one_provider(
        up,
        admin={"token": TOKEN},
        dataDir=str(folder),
        database={"url": f"sqlite:///{folder}/a.db"},
        ledger={"enabled": True},
        **sections,
    )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gw(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    webhooks = [{"url": url, **({"types": ["key_created"]} if name == "new" else {})} for name, url in URLS.items()]
    folder = tmp_path_factory.mktemp("data")
    async with Upstream() as up:
        gateway = Gateway(config(up, folder, events={"webhooks": webhooks}))
        engine = LazyEngine(gateway.config.database, folder, print, print)
        for name in NAMES:
            await Outbox(engine).know(name)
        await engine.close()
        spool = spool_folder(folder)
        spool.mkdir()
        lock = RecorderLock(spool)
        assert lock.acquire()  # no recorder works beside another one
        async with gateway as gw:
            yield gw
        lock.release()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def outbox(gw: Gateway) -> AsyncIterator[Outbox]:
    engine = LazyEngine(gw.app.config.database, gw.app.config.data_dir, print, print)
    yield Outbox(engine)
    await engine.close()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def cleared(outbox: Outbox) -> None:
    await outbox.clear()


def card(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=name, exact=True)


def rows(page: Page) -> Any:
    return page.get_by_role("region", name="Dead events").locator("tbody tr")


def dialog(page: Page) -> Any:
    return page.get_by_role("dialog").last


async def fill(outbox: Outbox) -> None:
    """Every state of a receiver."""
    now = time.time()
    await outbox.know("up", sent=1204, sent_at=now - 3, failures=2, failed_at=now - 600, error="timed out")
    await outbox.know("late", sent=7, sent_at=now - 300, until=0)
    await outbox.know("failing", sent=3, sent_at=now - 300, failures=40, failed_at=now - 1, error=FAILED)
    await outbox.know("gone", gone_at=now - 60, failures=1, failed_at=now - 60, error="status 410")
    await outbox.put("late", 200)
    await outbox.put("late", 100)
    await outbox.put("failing", 50)
    await outbox.put("left", 10)
    await outbox.die("failing", "evt_b", "evt_a")


async def test_receivers_are_shown_in_their_states(page: Page, outbox: Outbox) -> None:
    await fill(outbox)
    await go(page, "events")
    await expect(page.locator(".page-head")).to_contain_text("4 events wait.")
    for name, state in (
        ("up", "Up"),
        ("late", "Waiting"),
        ("failing", "Failing"),
        ("gone", "Gone"),
        ("new", "Nothing sent yet"),
    ):
        await expect(card(page, f"{name}.invalid:1").locator(".pill")).to_have_text(state)
    await expect(card(page, "left.invalid").locator(".pill")).to_have_text("Not configured")
    up = card(page, "up.invalid:1")
    await expect(up).to_contain_text("Sent1\u202f204")
    await expect(up).to_contain_text(re.compile(r"Failed at .*: timed out"))
    await expect(up).to_contain_text("http://up.invalid:1/********")
    late = card(page, "late.invalid:1")
    await expect(late).to_contain_text("Waiting2")
    await expect(late).to_contain_text(re.compile(r"Oldest3\u202fmin \d+"))
    await expect(late).to_contain_text("No process sends to it now.")
    await expect(card(page, "failing.invalid:1")).to_contain_text(FAILED)
    await expect(card(page, "failing.invalid:1")).to_contain_text("Dead2")
    await expect(card(page, "gone.invalid:1")).to_contain_text("It answered 410 Gone")
    await expect(card(page, "new.invalid:1")).to_contain_text("Gets key_created")
    assert "path-" not in await page.content()


async def test_the_page_follows_what_happens(page: Page, outbox: Outbox) -> None:
    await go(page, "events")
    await expect(page.locator(".page-head")).to_contain_text("0 events wait.")
    await expect(card(page, "Dead events")).to_contain_text("None.")
    await outbox.put("up")
    await outbox.die("failing", "evt_new")
    await expect(page.locator(".page-head")).to_contain_text("1 event waits.")
    await expect(rows(page)).to_have_count(1)
    await outbox.know("new", failed_at=time.time(), error="no route to host")
    await expect(card(page, "new.invalid:1").locator(".pill")).to_have_text("Failing")
    await outbox.know("new")


async def test_a_dead_event_is_looked_at_and_sent_again(page: Page, outbox: Outbox) -> None:
    await outbox.die("failing", "evt_b", "evt_a")
    await go(page, "events")
    await expect(rows(page)).to_have_count(2)
    await expect(rows(page).first).to_contain_text("ai_usageevt_bfailing.invalid:1status 50012")
    await rows(page).first.get_by_role("link", name="ai_usage").click()
    await expect(dialog(page)).to_contain_text("evt_b")
    await expect(dialog(page)).to_contain_text(FAILED)
    await expect(dialog(page).locator("pre")).to_contain_text(MARKUP)
    assert await violations(page) == []
    await dialog(page).get_by_role("button", name="Send again").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page).to_have_url(re.compile("#/events$"))
    await expect(rows(page)).to_have_count(1)
    assert await outbox.ids(dead=False) == ["evt_b"]


async def test_an_event_that_is_not_dead_any_more_is_no_error(page: Page, outbox: Outbox) -> None:
    await outbox.die("failing", "evt_once")
    await go(page, "events")
    await rows(page).filter(has_text="evt_once").get_by_role("link", name="ai_usage").click()
    await expect(dialog(page)).to_contain_text("evt_once")
    await outbox.run(update(OUTBOX).values(dead_at=None))
    await dialog(page).get_by_role("button", name="Send again").click()
    await expect(page.locator(".toast").last).to_have_text("The event is not dead any more.")
    await expect(rows(page)).to_have_count(0)


async def test_some_dead_events_are_chosen_by_keyboard(page: Page, outbox: Outbox) -> None:
    await outbox.die("failing", "evt_c", "evt_b", "evt_a")
    await go(page, "events")
    section = card(page, "Dead events")
    await expect(section.get_by_role("button", name="Send all again")).to_be_visible()
    for name in ("evt_b", "evt_a"):
        await section.get_by_label(f"Choose ai_usage {name}").focus()
        await page.keyboard.press("Space")
    await section.get_by_role("button", name="Delete 2").focus()
    await page.keyboard.press("Enter")
    await expect(dialog(page)).to_contain_text("Delete 2 dead events?")
    await page.keyboard.press("Escape")
    assert await outbox.ids(dead=True) == ["evt_a", "evt_b", "evt_c"]
    await section.get_by_role("button", name="Delete 2").click()
    await dialog(page).get_by_role("button", name="Delete").click()
    await expect(page.locator(".toast").last).to_have_text("2 events were deleted.")
    await expect(rows(page)).to_have_count(1)
    assert await outbox.ids(dead=True) == ["evt_c"]


async def test_all_dead_events_of_a_receiver_are_sent_again(page: Page, outbox: Outbox) -> None:
    await outbox.die("failing", "evt_b", "evt_a")
    await outbox.die("gone", "evt_g")
    await go(page, "events")
    await expect(rows(page)).to_have_count(3)
    section = card(page, "Dead events")
    await section.get_by_label("Receiver").select_option("failing.invalid:1")
    await expect(rows(page)).to_have_count(2)
    await section.get_by_role("button", name="Send all again").click()
    await expect(dialog(page)).to_contain_text("Send all dead events of failing.invalid:1 again?")
    await dialog(page).get_by_role("button", name="Send again").click()
    await expect(page.locator(".toast").last).to_have_text("2 events wait to be sent again.")
    await expect(rows(page)).to_have_count(0)
    assert await outbox.ids(dead=True) == ["evt_g"]
    await section.get_by_label("Receiver").select_option("All receivers")
    await expect(rows(page)).to_have_count(1)


async def test_many_dead_events_are_shown_by_pages(page: Page, outbox: Outbox) -> None:
    await outbox.die("failing", *(f"evt_{number:03}" for number in range(130)))
    await go(page, "events")
    await expect(rows(page)).to_have_count(100)
    await card(page, "Dead events").get_by_role("button", name="Show more").click()
    await expect(rows(page)).to_have_count(130)
    await expect(rows(page).last).to_contain_text("evt_129")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_page_is_accessible_and_fits(theme: str, width: int, page: Page, outbox: Outbox) -> None:
    await fill(outbox)
    await page.set_viewport_size({"width": width, "height": 800})
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    await go(page, "events")
    await expect(rows(page)).to_have_count(2)
    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_on_a_phone_the_current_page_is_in_sight(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    for name, label in (("config", "Config"), ("overview", "Overview"), ("events", "Events")):
        await go(page, name)
        await expect(page.get_by_role("link", name=label, exact=True)).to_be_in_viewport(ratio=1)
    await page.set_viewport_size({"width": 1280, "height": 800})
    for name in ("Overview", "Config"):
        await expect(page.get_by_role("link", name=name, exact=True)).to_be_in_viewport(ratio=1)


async def test_dead_letters_are_shown_and_sent_again(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a process that answers as that of a broker with one dead letter does, until it is moved."""
    moved = tmp_path / "moved"
    letter = {
        "id": "evt_9",
        "type": "ai_usage",
        "queue": "billing.usage",
        "reason": "rejected",
        "at": 5,
        "body": "e30=",
    }
    program = (
        "import sys, json, pathlib; task = json.load(sys.stdin); moved = pathlib.Path(sys.argv[1])\n"
        "if task['again']: moved.write_text(json.dumps(task['ids']))\n"
        f"print(json.dumps({{'moved': 1, 'letters': [] if moved.exists() else [{letter!r}]}}))"
    )
    command = [sys.executable, "-c", program, str(moved)]
    monkeypatch.setattr("proxy.control.plane.BrokerLetters", lambda live: BrokerLetters(live, command))
    events = {"url": "amqp://user:secret-word@127.0.0.1:1"}
    async with (
        Upstream() as up,
        Gateway(config(up, tmp_path, events=events)) as gw,
        signed_in(browser, gw.url) as page,
    ):
        await go(page, "events")
        await expect(card(page, "RabbitMQ")).to_contain_text("amqp://********@127.0.0.1:1")
        letters = card(page, "Dead letters")
        await letters.get_by_role("button", name="Show").click()
        await expect(letters.locator("tbody tr")).to_contain_text("ai_usageevt_9Body{}billing.usagerejected")
        await letters.get_by_text("Body").click()
        assert await violations(page) == []
        await letters.get_by_role("button", name="Send ai_usage evt_9 again").click()
        await dialog(page).get_by_role("button", name="Send again").click()
        await expect(letters).to_contain_text("There are none.")
        assert moved.read_text() == '["evt_9"]'


async def test_a_webhook_that_fails_and_recovers_is_followed(browser: Browser, tmp_path: Path) -> None:
    """With the real recorder: an event that is made by the API, and a real webhook."""
    async with Upstream() as up, Upstream() as hook:
        hook.on(lambda request: json_answer({}, 500))
        source = config(up, tmp_path, events={"webhooks": [{"url": hook.url, "types": ["key_created"]}]})
        async with Gateway(source) as gw, signed_in(browser, gw.url) as page:
            await go(page, "events")
            receiver = page.locator(".receiver")
            await expect(receiver.locator(".pill")).to_have_text("Nothing sent yet")
            client = await gw.client()
            bearer = [("Authorization", f"Bearer {TOKEN}")]
            assert (await client.fetch("POST", "/auth/api-keys", headers=bearer, json={"name": "k"})).status == 201
            await expect(receiver.locator(".pill")).to_have_text("Failing")
            await expect(receiver).to_contain_text("500")
            await expect(page.locator(".page-head")).to_contain_text("1 event waits.")
            await go(page, "overview")
            trouble = page.get_by_role("region", name="Needs attention").locator("li", has_text="Events")
            await trouble.get_by_role("link").click()
            await expect(page.locator('main[data-page="events"] h1')).to_be_visible()
            hook.on(lambda request: json_answer({}))
            await expect(receiver.locator(".pill")).to_have_text("Up")
            await expect(receiver).to_contain_text("Sent1")
            await expect(page.locator(".page-head")).to_contain_text("0 events wait.")


async def test_without_receivers_the_page_says_how_to_add_them(browser: Browser, tmp_path: Path) -> None:
    async with Upstream() as up, Gateway(config(up, tmp_path)) as gw, signed_in(browser, gw.url) as page:
        await go(page, "events")
        await expect(page.get_by_role("heading", name="No receiver is configured")).to_be_visible()
        await expect(page.locator("pre")).to_contain_text("webhooks:")
        await expect(card(page, "Dead events")).to_be_hidden()
        await expect(card(page, "Dead letters")).to_be_hidden()
        assert await violations(page) == []
