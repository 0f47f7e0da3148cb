"""Who received what: ``python -m tests.events.table`` prints it, and ends with 1 if an event is missing or came twice.

Gateway A has PostgreSQL, gateway B has no database. Each serves calls, reaches thresholds of a budget, and opens and
closes a breaker. A posts a transaction, and makes and revokes a key. Two messages are no events.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pamqp.commands import Basic

from proxy.database.address import Address
from tests.database.databases import address
from tests.events.acceptance.listener import Listener
from tests.events.acceptance.site import OWNERS, EventSite, event_site
from tests.ledger.recorder.databases import query
from tests.support.patience import PATIENCE
from tests.support.rabbit import RabbitExchange, rabbit_exchange
from tests.support.services import drop_databases, postgres_database

CALLS = 5  # at each gateway: 20 tokens each, of a budget of 100
POISON = (b"no event, for billing", b"no row, for the ledger")
SETTLED_SECS = 2 * PATIENCE


class Line(NamedTuple):
    """``received``: messages; ``distinct``: ids. ``stored``: of them in PostgreSQL, -1: not kept there."""

    event: str
    by: str
    receiver: str
    expected: int
    received: int
    distinct: int
    stored: int = -1

    @property
    def wrong(self) -> bool:
        return {self.received, self.distinct, *([self.stored] if self.stored >= 0 else [])} != {self.expected}


class Listeners(NamedTuple):
    billing: Listener
    analytics: Listener
    dead: Listener


async def table(folder: Path) -> list[Line]:
    """Let everything happen once, and return who received what."""
    async with postgres_database() as database, rabbit_exchange() as exchange:
        names = exchange.names
        async with event_site(folder, exchange.url, names, database) as site:
            await _until(lambda: _ready(site, exchange), "the queues")
            listeners = Listeners(
                *(Listener(exchange.url, each) for each in (names.usage, names.analytics, names.dead))
            )
            listeners.dead.reject = False
            try:
                await _everything(site, exchange)
                try:
                    await _until(lambda: _complete(listeners, address(database)), "all events")
                except TimeoutError:
                    pass  # the table says what is missing
                await site.stop()
                await _until(lambda: _empty(exchange), "empty queues")
                return await _lines(listeners, address(database))
            finally:
                for each in listeners:
                    await each.close()


async def _everything(site: EventSite, exchange: RabbitExchange) -> None:
    for letter in OWNERS:
        for _ in range(CALLS):
            assert await site.call(letter)
    body = {"user_id": OWNERS["A"], "amount": 25, "description": "Top-up"}
    await site.admin("A", "POST", "/billing/transaction", ("Idempotency-Key", "invoice-17"), json=body)
    key = (await site.admin("A", "POST", "/auth/api-keys", json={"name": "new"})).json["id"]
    await site.admin("A", "DELETE", f"/auth/api-keys/{key}")
    for letter in OWNERS:
        for change in ("open", "close"):
            await site.admin(letter, "POST", f"/admin/state/up-{letter.lower()}/m/{change}")
    for body_, routing in zip(POISON, (exchange.names.usage, exchange.names.ledger), strict=True):
        await exchange.call("basic_publish", body_, routing_key=routing, properties=Basic.Properties(delivery_mode=2))


EXPECTED: dict[tuple[str, str], int] = {
    ("ai_usage", "A"): CALLS,
    ("ai_usage", "B"): CALLS,
    ("transaction_created", "A"): CALLS + 2,  # the calls, the opening balance, the posted one
    ("key_created", "A"): 1,
    ("key_revoked", "A"): 1,
    ("budget_threshold", "A"): 3,
    ("budget_threshold", "B"): 3,
    ("breaker_changed", "A"): 2,
    ("breaker_changed", "B"): 2,
}


def told_by(event: dict[str, Any]) -> str:
    """The letter of the gateway."""
    data = event["data"]
    if event["type"].endswith(("ai_usage", "budget_threshold")):
        return "B" if OWNERS["B"] in (data.get("owner"), data.get("subject")) else "A"
    return "B" if data.get("provider") == "up-b" else "A"


def _of(listener: Listener, type_: str, letter: str) -> list[str]:
    return [id_ for id_, event in listener.of_type(type_).items() if told_by(event) == letter]


async def _lines(listeners: Listeners, where: Address) -> list[Line]:
    found = []
    for (type_, letter), expected in EXPECTED.items():
        receivers = [listeners.billing, listeners.analytics] if type_ == "ai_usage" else [listeners.analytics]
        for listener in receivers:
            ids = _of(listener, type_, letter)
            stored = await _stored(where, type_, ids)
            received = sum(listener.seen[each] for each in ids)
            found.append(Line(type_, letter, _short(listener), expected, received, len(ids), stored))
    foreign = [each for each in listeners.billing.events.values() if not each["type"].endswith("ai_usage")]
    found.append(Line("anything else", "A, B", _short(listeners.billing), 0, len(foreign), len(foreign)))
    numbers = sorted(each["data"]["sequence"] for each in listeners.analytics.of_type("transaction_created").values())
    gaps = len({*range(1, CALLS + 3)} - {*numbers})
    found.append(Line("gap in a sequence", "A", _short(listeners.analytics), 0, gaps, gaps))
    dead = listeners.dead.raw
    for body in POISON:
        count = dead.count(body)
        found.append(Line(body.decode(), "the script", _short(listeners.dead), 1, count, min(count, 1)))
    return found


async def _stored(where: Address, type_: str, ids: Sequence[str]) -> int:
    """Rows with these ids; -1: events of the type have none."""
    if type_ not in ("ai_usage", "transaction_created"):
        return -1
    name = "ledger" if type_ == "ai_usage" else "transfers"
    rows = [str(id_) for (id_,) in await query(where, f"SELECT id FROM {name}")]
    return sum(rows.count(each.removeprefix("txn_")) for each in ids)


def _short(listener: Listener) -> str:
    return listener.queue.partition(".")[2]


async def _complete(listeners: Listeners, where: Address) -> bool:
    return len(listeners.dead.raw) >= len(POISON) and not any(
        line.distinct < line.expected or 0 <= line.stored < line.expected for line in await _lines(listeners, where)
    )


async def _ready(site: EventSite, exchange: RabbitExchange) -> bool:
    """Both recorders have declared their queues."""
    return min([await exchange.count(each) for each in (exchange.names.usage, exchange.names.ledger)]) >= 0


async def _empty(exchange: RabbitExchange) -> bool:
    names = exchange.names
    return not any([await exchange.count(each) for each in (names.usage, names.analytics, names.ledger, names.dead)])


async def _until(condition: Callable[[], Any], what: str) -> None:
    async with asyncio.timeout(SETTLED_SECS):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def print_table(lines: Sequence[Line]) -> None:
    print(
        f"{'event':<24}{'told by':<12}{'received by':<20}{'expected':>9}{'received':>9}{'ids':>6}{'in PostgreSQL':>15}"
    )
    for line in lines:
        stored = "" if line.stored < 0 else line.stored
        counts = f"{line.expected:>9}{line.received:>9}{line.distinct:>6}{stored:>15}"
        print(f"{line.event:<24}{line.by:<12}{line.receiver:<20}{counts}{'  WRONG' if line.wrong else ''}")


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
            lines = asyncio.run(table(Path(folder)))
    finally:
        drop_databases()
    print_table(lines)
    return 1 if any(line.wrong for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
