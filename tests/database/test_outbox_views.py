"""What an operator sees of the outbox, and does with dead events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from proxy.database import outbox_views
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.outbox_rows import Changed, DeadFilter, ReceiverStanding
from proxy.database.outbox_views import OutboxTable
from proxy.database.tables import EVENT_RECEIVERS, OUTBOX
from tests.database.databases import KINDS, address, new_database

HOOK = "webhook:example.com:0a1b2c3d"


@pytest.fixture(params=KINDS)
async def table(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OutboxTable]:
    async with new_database(request.param, tmp_path) as url:
        engine = Engine(address(url), DatabaseHealth(), time_limit=10.0)
        yield OutboxTable(engine)
        await engine.close()


async def put(table: OutboxTable, *rows: dict[str, Any]) -> list[int]:
    """Insert rows of the outbox; returns their numbers."""
    found = []
    for number, row in enumerate(rows):
        values = {"id": f"e{number}", "receiver": HOOK, "type": "ai_usage", "at": 100.0 + number, "body": "{}"} | row
        statement = insert(OUTBOX).values(values).returning(OUTBOX.c.seq)
        found.append(await table.engine.write(lambda connection, it=statement: connection.scalar(it)))
    return found


async def alive(table: OutboxTable) -> list[tuple[Any, ...]]:
    """The id, tries, due and error of what waits."""
    columns = (OUTBOX.c.id, OUTBOX.c.tries, OUTBOX.c.due, OUTBOX.c.error)
    query = select(*columns).where(OUTBOX.c.dead_at.is_(None)).order_by(OUTBOX.c.seq)

    async def work(connection: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await connection.execute(query)]

    return await table.engine.read(work)


def dead(at: float, **members: Any) -> dict[str, Any]:
    return {"dead_at": at, "tries": 9, "due": 5.0, "error": "status 500"} | members


async def test_receivers_are_shown_with_what_waits_and_what_is_dead(table: OutboxTable) -> None:
    gone = {"name": "webhook:old:1", "until": 7.5, "sent": 3, "failures": 2, "gone_at": 9.0, "error": "status 410"}
    await table.engine.write(lambda connection: connection.execute(insert(EVENT_RECEIVERS).values(gone)))
    await put(table, {}, {}, dead(50.5), {"receiver": "broker"}, dead(51.0, receiver="webhook:older:2"), dead(49.0))
    now, found = await table.survey(["broker", HOOK, "webhook:new:3"])
    assert now > 1_700_000_000
    assert found == [
        ReceiverStanding("broker", 1, 103.0),
        ReceiverStanding(HOOK, 2, 100.0, 2, 50.5),
        ReceiverStanding("webhook:new:3"),
        ReceiverStanding("webhook:old:1", until=7.5, sent=3, failures=2, gone_at=9.0, error="status 410"),
        ReceiverStanding("webhook:older:2", dead=1, last_dead=51.0),
    ]


async def test_events_are_counted_up_to_a_limit(table: OutboxTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_views, "MOST_COUNTED", 2)
    await put(table, {}, {}, {}, dead(1.0), dead(2.0), dead(3.0))
    _, [found] = await table.survey([HOOK])
    assert (found.waiting, found.dead) == (2, 2)


async def test_dead_events_are_listed_by_pages_the_last_that_died_first(table: OutboxTable) -> None:
    first, second, third, _, other = await put(
        table, dead(50.0), dead(60.125), dead(50.0), {}, dead(70.0, receiver="broker")
    )
    found = await table.dead(DeadFilter(receiver=HOOK), 2)
    assert [each.seq for each in found] == [second, third]
    assert (found[0].id, found[0].tries, found[0].error, found[0].body) == ("e1", 9, "status 500", "{}")
    rest = await table.dead(DeadFilter(receiver=HOOK), 2, (found[-1].dead_at, found[-1].seq))
    assert [each.seq for each in rest] == [first]
    assert [each.seq for each in await table.dead(DeadFilter(), 9)] == [other, second, third, first]
    assert [each.seq for each in await table.dead(DeadFilter([first, other]), 9)] == [other, first]
    assert await table.dead(DeadFilter(receiver="a\0b"), 9) == []


async def test_dead_events_are_sent_again_as_if_they_had_not_been_tried(table: OutboxTable) -> None:
    one, _, living, _ = await put(table, dead(50.0), dead(51.0), {"tries": 3}, dead(52.0, receiver="broker"))
    assert await table.send_again(DeadFilter([one, living, 10_000])) == Changed(1, more=False)
    assert await alive(table) == [("e0", 0, 0.0, ""), ("e2", 3, 0.0, "")]
    assert await table.send_again(DeadFilter(receiver=HOOK)) == Changed(1, more=False)
    assert [each[0] for each in await alive(table)] == ["e0", "e1", "e2"]
    assert [each.id for each in await table.dead(DeadFilter(), 9)] == ["e3"]


@pytest.mark.parametrize(
    ("ids", "receiver", "expected"),
    [
        (None, "", ["e0", "e1", "e2"]),
        (["e1", "e1", "e2", "none", "a\0b", "\ud800"], "", ["e1", "e2"]),
        (["e1", "e2"], HOOK, ["e1"]),
        ([], "", []),
    ],
)
async def test_dead_events_are_sent_again_by_their_ids(
    table: OutboxTable, ids: list[str] | None, receiver: str, expected: list[str]
) -> None:
    await put(table, dead(50.0), dead(51.0), dead(52.0, receiver="broker"))
    found = await table.send_again(DeadFilter(ids=ids, receiver=receiver))
    assert found == Changed(len(expected), more=False)
    assert [each[0] for each in await alive(table)] == expected


async def test_dead_events_are_deleted_and_no_others(table: OutboxTable) -> None:
    await put(table, {}, dead(50.0), dead(51.0, receiver="broker"))
    assert await table.delete(DeadFilter(receiver="a\0b")) == Changed(0, more=False)
    assert await table.delete(DeadFilter(receiver="broker")) == Changed(1, more=False)
    assert [each.id for each in await table.dead(DeadFilter(), 9)] == ["e1"]
    assert await table.delete(DeadFilter()) == Changed(1, more=False)
    assert [each[0] for each in await alive(table)] == ["e0"]


async def test_many_dead_events_are_changed_by_parts(table: OutboxTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_views, "AT_ONCE", 2)
    monkeypatch.setattr(outbox_views, "MOST_CHANGED", 4)
    await put(table, *(dead(50.0 + number) for number in range(7)))
    assert await table.delete(DeadFilter()) == Changed(4, more=True)
    assert [each.id for each in await table.dead(DeadFilter(), 9)] == ["e6", "e5", "e4"]
    assert await table.send_again(DeadFilter()) == Changed(3, more=False)


async def test_what_dies_after_the_request_stays_dead(table: OutboxTable) -> None:
    await put(table, dead(50.0), dead(1e12))
    assert await table.send_again(DeadFilter()) == Changed(1, more=False)
    assert [each.id for each in await table.dead(DeadFilter(), 9)] == ["e1"]
