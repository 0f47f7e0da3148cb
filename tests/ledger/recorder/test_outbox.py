"""The outbox as the recorder fills it, in both databases. What the events say is in test_announced.py."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from proxy.database.address import Address
from proxy.events.base import EventReceiver, OutboxEvent
from proxy.ledger.recorder.base import LedgerDatabase, RowsRejected
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.recorder.values import cleaned
from proxy.ledger.row import Row
from tests.database.databases import KINDS
from tests.ledger.recorder.databases import migrated, query
from tests.ledger.rows import ROW

BROKER, MONEY = EventReceiver("broker"), EventReceiver("webhook:a:1", ("transaction_created", "budget_threshold"))
EVENT = OutboxEvent("evt_1", "budget_threshold", 3.5, b'{"specversion":"1.0"}')


@pytest.fixture(params=KINDS)
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Address]:
    async with migrated(request.param, tmp_path) as found:
        yield found


@asynccontextmanager
async def opened(where: Address, *receivers: EventReceiver, **more: Any) -> AsyncIterator[LedgerDatabase]:
    ledger = open_ledger(where, more.pop("default_balance", 0), receivers, **more)
    try:
        yield ledger
    finally:
        await ledger.close()


def row(number: int, account: str = "ann", **changes: Any) -> Row:
    usual = {"id": f"{'1' * 16}{number}", "at": 1_790_000_000.0 + number, "cost": 100 * number}
    return structs.replace(ROW, **{**usual, "counters": [f"balance/total/{account}"], **changes})


async def waiting(where: Address) -> list[tuple[Any, ...]]:
    return await query(where, "SELECT id, receiver, type FROM outbox WHERE dead_at IS NULL ORDER BY seq")


async def count(where: Address, table: str) -> int:
    return int((await query(where, f"SELECT count(*) FROM {table}"))[0][0])


async def told(where: Address, type_: str) -> list[dict[str, Any]]:
    """The events of a type, once each."""
    found = await query(where, f"SELECT body FROM outbox WHERE type = '{type_}' AND receiver = 'broker' ORDER BY seq")
    return [json.loads(body) for (body,) in found]


async def test_rows_transfers_and_announced_events_wait_for_their_receivers(where: Address) -> None:
    async with opened(where, BROKER, MONEY) as ledger:
        assert await ledger.write([row(1)], [EVENT]) == 1
    first = row(1).id
    assert await waiting(where) == [
        (first, "broker", "ai_usage"),
        (f"txn_{first}", "broker", "transaction_created"),
        (f"txn_{first}", "webhook:a:1", "transaction_created"),
        ("evt_1", "broker", "budget_threshold"),
        ("evt_1", "webhook:a:1", "budget_threshold"),
    ]
    assert await query(where, "SELECT at, body FROM outbox WHERE id = 'evt_1' AND receiver = 'broker'") == [
        (3.5, EVENT.body.decode())
    ]


async def test_what_comes_again_is_told_once(where: Address) -> None:
    async with opened(where, BROKER) as ledger:
        await ledger.write([row(1), row(2), row(2)], [EVENT, EVENT])
        before = await waiting(where)
        assert len(before) == 5
        await ledger.write([row(1), row(2)], [EVENT])
        assert await waiting(where) == before
        await query(where, "DELETE FROM outbox")  # they were sent
        await ledger.write([row(2), row(3)], [EVENT])
    assert [id for id, *_ in await waiting(where)] == [row(3).id, f"txn_{row(3).id}"]  # noqa: A001


async def test_announced_events_need_no_row(where: Address) -> None:
    async with opened(where, BROKER) as ledger:
        assert await ledger.write((), [EVENT]) == 0
        assert await ledger.write((), [EVENT]) == 0
        assert await ledger.write(()) == 0
    assert await waiting(where) == [("evt_1", "broker", "budget_threshold")]


async def test_without_receivers_nothing_is_put_in_and_nothing_is_numbered(where: Address) -> None:
    async with opened(where, default_balance=5_000) as ledger:
        await ledger.write([row(1)], [EVENT])
    assert (await count(where, "outbox"), await count(where, "event_ids")) == (0, 0)
    assert await query(where, "SELECT credits, charges, sequence FROM accounts") == [(5_000, 100, 0)]
    assert await query(where, "SELECT sequence, balance FROM transfers") == [(None, None)] * 2


async def test_a_charge_whose_row_has_expired_is_not_made_again(where: Address) -> None:
    async with opened(where, BROKER) as ledger:
        await ledger.write([row(1), row(2)])
        await query(where, "DELETE FROM ledger")
        await ledger.write([row(2), row(3)])
    found = await query(where, "SELECT id, sequence, balance FROM transfers ORDER BY sequence")
    assert found == [(row(1).id, 1, -100), (row(2).id, 2, -300), (row(3).id, 3, -600)]
    assert await query(where, "SELECT charges, sequence FROM accounts") == [(600, 3)]


async def test_rows_with_one_id_and_two_times_are_charged_once(where: Address) -> None:
    async with opened(where, BROKER) as ledger:
        assert await ledger.write([row(1), structs.replace(row(1), at=row(1).at + 1)]) == 2
    assert await query(where, "SELECT charges, sequence FROM accounts") == [(100, 1)]


async def test_the_broker_does_not_get_what_it_has(where: Address) -> None:
    webhook = EventReceiver("webhook:b:1")
    async with opened(where, BROKER, webhook, broker_has=("ai_usage",)) as ledger:
        await ledger.write([row(1)])
    assert sorted((receiver, type_) for _, receiver, type_ in await waiting(where)) == [
        ("broker", "transaction_created"),
        ("webhook:b:1", "ai_usage"),
        ("webhook:b:1", "transaction_created"),
    ]


async def test_transfers_of_an_account_are_numbered_without_gaps(where: Address) -> None:
    async with opened(where, BROKER, default_balance=5_000) as ledger, opened(where, MONEY) as other:
        await ledger.write([row(1), row(2, "bob"), row(3), row(9, cost=None)])
        await other.write([row(4)])
        await ledger.write([row(4), row(5)])
    found: dict[str, list[tuple[int, int, int]]] = {}
    for (body,) in await query(where, "SELECT body FROM outbox WHERE type = 'transaction_created' ORDER BY seq"):
        event = json.loads(body)
        data = event["data"]
        assert event["sequence"] == f"{data['sequence']:020}"
        found.setdefault(event["subject"], []).append((data["sequence"], data["amount"], data["balance"]))
    assert found == {
        "ann": [(1, 5_000, 5_000), (2, -100, 4_900), (3, -300, 4_600), (4, -400, 4_200), (5, -500, 3_700)],
        "bob": [(1, 5_000, 5_000), (2, -200, 4_800)],
    }
    signed = "CASE WHEN credit = ':usage' THEN -amount ELSE amount END"
    for name, told_ in found.items():
        statement = f"SELECT sequence, {signed}, balance FROM transfers WHERE '{name}' IN (debit, credit)"
        assert await query(where, f"{statement} ORDER BY sequence") == told_
    assert await query(where, "SELECT id, sequence FROM accounts ORDER BY id") == [("ann", 5), ("bob", 2)]
    openings = await query(where, "SELECT id FROM transfers WHERE credit IN ('ann', 'bob')")
    assert {f"txn_{id}" for (id,) in openings} <= {id for id, *_ in await waiting(where)}  # noqa: A001


async def test_a_refused_batch_tells_nothing(where: Address) -> None:
    bad = OutboxEvent("evt_2", "budget_threshold", 1.0, b"\xff")
    async with opened(where, BROKER) as ledger:
        with pytest.raises(RowsRejected):
            await ledger.write([row(1), row(2, input=2**63)], [EVENT])
        with pytest.raises(RowsRejected):
            await ledger.write([row(1)], [EVENT, bad])
        assert [await count(where, table) for table in ("ledger", "outbox", "event_ids", "accounts")] == [0] * 4
        await ledger.write([row(1)], [EVENT])
    assert len(await waiting(where)) == 3


async def test_a_cleaned_row_is_told_as_it_was_written(where: Address) -> None:
    odd = row(1, "a\0b\ud800", model="m\0\ud800", owner="\ud800")
    async with opened(where, BROKER) as ledger:
        with pytest.raises(RowsRejected):
            await ledger.write([odd])
        assert await ledger.write([cleaned(odd)]) == 1
    (usage,) = await told(where, "ai_usage")
    assert (usage["subject"], usage["data"]["model"]) == ("?", "m\ufffd?")
    (transfer,) = await told(where, "transaction_created")
    assert transfer["subject"] == "a\ufffdb?"


async def test_a_full_outbox_that_forgets_counts_the_events(where: Address) -> None:
    bound = OutboxBound("forget")
    async with opened(where, BROKER, MONEY, bound=bound) as ledger:
        bound.full = True
        await ledger.write([row(1), row(2)], [EVENT])
        assert (await count(where, "outbox"), bound.forgotten) == (0, 5)
        bound.full = False
        await ledger.write([row(1), row(3)], [EVENT])
    assert [id for id, name, _ in await waiting(where) if name == "broker"] == [row(3).id, f"txn_{row(3).id}"]  # noqa: A001
    assert (await told(where, "transaction_created"))[0]["data"]["sequence"] == 3  # a gap that consumers see
    assert bound.forgotten == 5


async def put(where: Address, *rows: tuple[str, str, float, float | None]) -> None:
    """Rows of the outbox: id, receiver, ``at``, ``dead_at``."""
    for id, receiver, at, dead in rows:  # noqa: A001 - the column's name
        values = f"'{id}', '{receiver}', 'ai_usage', {at}, '{{}}', {'NULL' if dead is None else dead}"
        await query(where, f"INSERT INTO outbox (id, receiver, type, at, body, dead_at) VALUES ({values})")


async def ids(where: Address) -> Sequence[str]:
    return [id for (id,) in await query(where, "SELECT id FROM outbox ORDER BY id")]  # noqa: A001


async def test_dead_events_and_ids_expire(where: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"proxy.ledger.recorder.{'sqlite' if where.kind == 'sqlite' else 'postgres'}.EXPIRE_AT_ONCE", 2)
    await put(where, *((f"dead{number}", "broker", 0.0, float(number)) for number in range(5)))
    await put(where, ("waits", "broker", 0.0, None))
    for number in range(5):
        await query(where, f"INSERT INTO event_ids (id, at) VALUES ('evt_{number}', {number})")
    async with opened(where, BROKER) as ledger:
        while await ledger.expire(Expiry(dead=3.0, event_ids=4.0)):
            pass
    assert await ids(where) == ["dead3", "dead4", "waits"]
    assert await query(where, "SELECT id FROM event_ids") == [("evt_4",)]


async def test_much_that_waits_for_a_receiver_expires_little_by_little(
    where: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"proxy.ledger.recorder.{'sqlite' if where.kind == 'sqlite' else 'postgres'}.EXPIRE_AT_ONCE", 2)
    await put(where, *((f"e{number}", "left", 1.0, None) for number in range(5)), ("mine", "broker", 1.0, None))
    steps = 0
    async with opened(where, BROKER) as ledger:
        while await ledger.expire(Expiry(receivers=5.0)):
            steps += 1
    assert (steps, await ids(where)) == (2, ["mine"])


async def test_what_waits_for_a_receiver_that_is_configured_nowhere_expires(where: Address) -> None:
    await put(
        where,
        *(("mine", "broker", 1.0, None), ("held", "held", 1.0, None), ("sent", "sent", 1.0, None)),
        *(("failed", "failed", 1.0, None), ("old", "left", 1.0, None), ("new", "left", 9.0, None)),
        *(("never", "never", 1.0, None), ("dead", "left", 1.0, 9.0)),
    )
    for name, until, sent, failed in (
        *(("broker", 0, "NULL", "NULL"), ("held", 9, "NULL", "NULL"), ("sent", 0, 9, 1), ("failed", 1, 1, 9)),
        *(("left", 2, 1, "NULL"), ("empty", 2, 2, 2)),
    ):
        values = f"'{name}', {until}, {sent}, {failed}"
        await query(where, f"INSERT INTO event_receivers (name, until, sent_at, failed_at) VALUES ({values})")
    async with opened(where, BROKER) as ledger:
        assert not await ledger.expire(Expiry(receivers=5.0))
        assert await ids(where) == ["dead", "failed", "held", "mine", "new", "sent"]
        assert not await ledger.expire(Expiry(receivers=9.5, dead=9.5))
    assert await ids(where) == ["mine"]
    assert await query(where, "SELECT name FROM event_receivers") == [("broker",)]
