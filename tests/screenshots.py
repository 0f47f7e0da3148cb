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
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from msgspec.structs import replace
from playwright.async_api import Browser, Page
from sqlalchemy import delete, insert

from proxy.config.schema import Config
from proxy.database import drivers
from proxy.database.migrate import upgrade
from proxy.database.tables import EVENT_RECEIVERS, OUTBOX
from proxy.demo.configured import demo_config
from proxy.demo.server import Demo
from proxy.events.base import webhook_name
from proxy.ledger.row import Row
from tests.database.databases import address
from tests.ledger.rows import ROW
from tests.ledger.store import put
from tests.support.browser import chromium
from tests.support.gateway import ADMIN, ROOT, Gateway, to_config

PEOPLE: tuple[dict[str, Any], ...] = (
    {"name": "alice laptop", "owner": "alice@example.org", "team": "search", "project": "ranking"},
    {"name": "nightly batch", "owner": "data platform", "team": "data", "limits": {"tokensPerMinute": 200_000}},
    {"name": "bob notebook", "owner": "bob@example.org", "team": "data", "project": "reports"},
    {"name": "support bot", "owner": "support", "labels": {"stage": "live"}, "limits": {"requestsPerMinute": 600}},
    {"name": "support bot, test", "owner": "support", "labels": {"stage": "test"}, "expiresIn": 30 * 86400},
    {"name": "carol", "owner": "carol@example.org", "team": "search", "models": ["demo*"]},
)
PRICES = {"demo": (2.5, 10.0), "demo-fast": (0.15, 0.6), "demo-instant": (0.05, 0.4), "demo-reasoning": (3.0, 15.0)}
BUDGETS: tuple[dict[str, Any], ...] = (
    {"name": "daily", "per": "owner", "usd": 1, "window": "day", "timezone": "Europe/Berlin"},
    {"name": "search", "per": "team", "only": ["search"], "tokens": 8_000_000, "window": "month", "soft": True},
    {"name": "everyone", "usd": 18},
)
HOOKS = tuple(f"https://{name}.example.org/hook" for name in ("billing", "pager"))
EVENTS = {
    "url": "amqp://rabbitmq.example.org",
    "webhooks": [{"url": url, "types": ["budget_threshold"]} for url in HOOKS],
}
PAGES = (
    "overview",
    "models",
    "requests",
    "waterfall",
    "usage",
    "budgets",
    "keys",
    "limits",
    "services",
    "events",
    "try",
    "config",
)
SHOWN = (
    *("overview-light-wide", "overview-dark-wide", "models-light-wide", "waterfall-light-wide", "usage-light-wide"),
    *(
        "budgets-light-wide",
        "keys-light-wide",
        "limits-light-wide",
        "events-light-wide",
        "try-dark-wide",
        "overview-dark-narrow",
        "models-light-narrow",
    ),
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
        database = f"sqlite:///{kept}/sluice.db"
        source = {
            "dataDir": kept,
            "database": {"url": database},
            "auth": {"mode": "keys"},
            "ledger": {"enabled": True},
            "billing": {"enabled": True, "defaultBalance": 25, "onUnpriced": "allow"},
            "budgets": BUDGETS,
            "events": EVENTS,
            "circuitBreaker": {"failureThreshold": 3, "cooldownPeriodSecs": 4},
            "rateLimiting": {
                "enabled": True,
                "global": {"requestsPerMinute": 6000},
                "perClient": {"requestsPerMinute": 600, "tokensPerMinute": 200_000, "concurrent": 20},
            },
        }
        demo = Demo()
        config = _priced(demo_config(to_config(source), await demo.start("127.0.0.1", 0)))
        await _sent(database)  # before the recorder sends anything
        async with Gateway(config) as gw, aiohttp.ClientSession() as session, chromium() as browser:
            keys = [await _key(session, gw.url, who) for who in PEOPLE]
            await put(database, _history(keys))
            people = [asyncio.create_task(_ask(session, gw.url, key["key"])) for key in keys]
            await asyncio.sleep(seconds)
            for size in SIZES:
                for theme in THEMES:
                    wanted = [page for page in PAGES if f"{page}-{theme}-{size}" in names]
                    request = await _failed_over(session, gw.url)
                    await _sent(database)
                    await _shoot(browser, gw.url, folder, wanted, theme, size, request)
            for person in people:
                person.cancel()
            await asyncio.gather(*people, return_exceptions=True)
        await demo.stop()


def _priced(config: Config) -> Config:
    """With prices of some of the demo's models."""
    priced = [
        replace(model, input_price=PRICES[model.name][0], output_price=PRICES[model.name][1])
        if model.name in PRICES
        else model
        for model in config.models
    ]
    return replace(config, models=priced)


async def _key(session: aiohttp.ClientSession, url: str, fields: dict[str, Any]) -> Any:
    """A new key with its secret."""
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with session.post(f"{url}/auth/api-keys", json=fields, headers=headers) as response:
        return await response.json()


def _history(keys: Sequence[Any]) -> list[Row]:
    """What the keys used in the last month, more and more."""
    chance = random.Random(7)
    return [_past(chance, number, chance.choice(keys), time.time()) for number in range(4000)]


def _past(chance: random.Random, number: int, key: Any, now: float) -> Row:
    model = chance.choices([*PRICES], [2, 6, 3, 1])[0]
    source = chance.choices(["provider", "estimated", "unknown"], [92, 6, 2])[0]
    known = source != "unknown"
    tokens = (chance.randint(200, 6000), chance.randint(20, 900)) if known else (None, None)
    cost = sum(int(price * 1000) * count for price, count in zip(PRICES[model], tokens, strict=True)) if known else None
    return replace(
        ROW,
        id=f"past{number}",
        at=now - chance.random() ** 1.4 * 30 * 86400,
        provider="demo",
        model=model,
        client=f"key:{key['id']}",
        key=key["id"],
        **{name: key[name] for name in ("owner", "team", "project")},
        usage_source=source,
        input=tokens[0],
        output=tokens[1],
        cost=cost,
        cost_source="operator" if known else "unpriced",
        answered=chance.random() > 0.03,
        ended_ms=chance.uniform(200, 4000),
    )


async def _sent(database: str) -> None:
    """As if the recorder had sent all events to receivers that exist, of which one fails."""
    await upgrade(address(database))
    now = time.time()
    held = {"holder": "the screenshots", "until": now + 1e9, "failures": 0, "failed_at": None, "error": ""}
    broker, billing, pager = ("broker", *map(webhook_name, HOOKS))
    known = (
        {"name": broker, "sent": 48_211, "sent_at": now - 1} | held,
        {"name": billing, "sent": 37, "sent_at": now - 300} | held,
        {"name": pager, "sent": 21, "sent_at": now - 9000}
        | held
        | {"failures": 46, "failed_at": now - 40, "error": "status 503"},
    )
    dead = [
        {
            "id": f"evt_{number}c6f1d2ab40",
            "receiver": pager,
            "type": "budget_threshold",
            "at": now - 90_000 - number * 4000,
            "body": "{}",
            "tries": 46,
            "dead_at": now - 3000 - number * 4000,
            "error": "status 503",
        }
        for number in range(3)
    ]
    engine = drivers.open_single(address(database), 5.0)
    async with engine.begin() as connection:
        for table, rows in ((OUTBOX, dead), (EVENT_RECEIVERS, known)):
            await connection.execute(delete(table))
            await connection.execute(insert(table), rows)
    await engine.dispose()


async def _failed_over(session: aiohttp.ClientSession, url: str) -> str:
    """The id of a request that took several attempts."""
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with session.get(f"{url}/admin/requests?limit=500", headers=headers) as response:
        found = (await response.json())["requests"]
    return str(next(each["id"] for each in found if each["attempts"] > 1))


async def _ask(session: aiohttp.ClientSession, url: str, secret: str) -> None:
    chance = random.Random(secret)
    headers = {"Authorization": f"Bearer {secret}"}
    for _ in range(1000):
        ask = {
            "model": chance.choice(MODELS),
            "stream": chance.random() < 0.8,
            "messages": [{"role": "user", "content": "Tell me about rivers"}],
        }
        try:
            async with session.post(f"{url}/v1/chat/completions", json=ask, headers=headers) as response:
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
        places = {"waterfall": f"requests/{request}", "usage": "usage?range=30d"}
        await page.goto(f"{url}/#/{places.get(name, name)}")
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
