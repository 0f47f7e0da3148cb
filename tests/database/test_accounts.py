"""Accounts in both databases: opened once, credited once, and never without a transfer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from proxy.database.accounts import (
    MOST_AMOUNT,
    MOST_CREDITS,
    Account,
    AccountTable,
    CreditsExceeded,
    IdempotencyConflict,
    Posted,
)
from proxy.database.columns import OPENING
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.outbox import OutboxRow
from proxy.database.transfers import Transaction
from tests.database.databases import KINDS, address, new_database


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with new_database(request.param, tmp_path) as url:
        yield url


@asynccontextmanager
async def table_of(url: str) -> AsyncIterator[AccountTable]:
    engine = Engine(address(url), DatabaseHealth(), time_limit=20.0)
    try:
        yield AccountTable(engine)
    finally:
        await engine.close()


@pytest.fixture
async def table(url: str) -> AsyncIterator[AccountTable]:
    async with table_of(url) as found:
        yield found


async def total(table: AccountTable, statement: str) -> int:
    result = await table.engine.read(lambda connection: connection.exec_driver_sql(statement))
    return int(result.scalar_one() or 0)


async def test_an_account_is_opened_once_with_the_default_as_a_transaction(table: AccountTable) -> None:
    assert await table.read("ann") is None
    assert await table.transactions("ann", 10) == []
    assert await table.open("ann", 5_000) == Account("ann", 5_000, 0)
    assert await table.open("ann", 7_000) == Account("ann", 5_000, 0)
    (opening,) = await table.transactions("ann", 10)
    assert (opening.amount, opening.description) == (5_000, OPENING)


async def test_an_account_without_a_default_has_no_transaction(table: AccountTable) -> None:
    assert (await table.open("ann", 0)).balance == 0
    assert await table.transactions("ann", 10) == []
    assert await table.found(["ann", "bob"]) == {"ann": Account("ann")}


async def test_replicas_that_open_an_account_at_once_credit_the_default_once(url: str, table: AccountTable) -> None:
    await table.open("other", 0)  # the tables are there
    async with table_of(url) as second:
        found = await asyncio.gather(*(each.open("ann", 100) for _ in range(5) for each in (table, second)))
    assert {each.credits for each in found} == {100}
    assert await total(table, "SELECT count(*) FROM transfers") == 1


async def test_posts_move_the_balance_and_are_listed_newest_first(table: AccountTable) -> None:
    top_up = await table.post("ann", 10_000, "Top-up", default_nano=500, usd_rate=0.9)
    assert (top_up.account, top_up.amount, top_up.description, top_up.balance) == ("ann", 10_000, "Top-up", 10_500)
    assert top_up.opened
    back = await table.post("ann", -4_000, "Refund")
    assert (back.balance, back.opened) == (6_500, False)
    assert await table.read("ann") == Account("ann", 6_500, 0)
    listed = await table.transactions("ann", 10)
    assert [(each.amount, each.description, each.usd_rate) for each in listed] == [
        (-4_000, "Refund", None),
        (10_000, "Top-up", 0.9),
        (500, OPENING, None),
    ]
    assert (listed[0].id, listed[0].at) == (back.id, back.at)
    assert await table.transactions("ann", 1, 1) == [listed[1]]
    assert await table.transactions("ann", 5, 3) == []
    assert await total(table, "SELECT sum(amount) FROM transfers WHERE debit = ':funding'") == 10_500


async def test_a_balance_may_become_negative(table: AccountTable) -> None:
    assert (await table.post("ann", -5, "Correction")).balance == -5


async def test_whether_any_account_has_a_balance(table: AccountTable) -> None:
    assert not await table.any_covered()
    await table.post("alice", 5, "Top-up")
    assert await table.any_covered()
    await table.post("alice", -5, "Correction")
    await table.post("bob", -1, "Correction")
    assert not await table.any_covered()


async def test_pages_have_the_accounts_in_order(table: AccountTable) -> None:
    for name in ("bob", "ann", "cid"):
        await table.open(name, 1)
    assert [each.id for each in await table.page(2)] == ["ann", "bob"]
    assert [each.id for each in await table.page(2, "bob")] == ["cid"]


async def test_the_same_request_gets_the_same_answer(table: AccountTable) -> None:
    first = await table.post("ann", 10, "x", idempotency=("admin key-1", "digest"), usd_rate=1.1)
    await table.post("ann", 5, "y")
    assert await table.post("ann", 10, "x", idempotency=("admin key-1", "digest")) == replace(first, replayed=True)
    assert (await table.read("ann")) == Account("ann", 15, 0)
    with pytest.raises(IdempotencyConflict):
        await table.post("ann", 11, "x", idempotency=("admin key-1", "another"))
    assert (await table.post("ann", 10, "x", idempotency=("admin key-2", "digest"))).balance == 25


async def test_of_equal_posts_at_once_one_is_made(url: str, table: AccountTable) -> None:
    await table.open("ann", 0)

    async def post(each: AccountTable) -> Posted:
        return await each.post("ann", 10, "x", idempotency=("k", "d"))

    async with table_of(url) as second:
        found = await asyncio.gather(*(post(each) for _ in range(8) for each in (table, second)))
    assert len({each.id for each in found}) == 1
    assert await table.read("ann") == Account("ann", 10, 0)
    assert await total(table, "SELECT count(*) FROM transfers") == 1


async def test_a_refused_post_leaves_nothing(table: AccountTable) -> None:
    for _ in range(MOST_CREDITS // MOST_AMOUNT):
        await table.post("ann", MOST_AMOUNT, "x")
    with pytest.raises(CreditsExceeded):
        await table.post("ann", 1, "one too many", idempotency=("k", "d"))
    assert await table.read("ann") == Account("ann", MOST_CREDITS, 0)
    assert await total(table, "SELECT count(*) FROM idempotency") == 0
    assert (await table.post("ann", -1, "x", idempotency=("k", "d"))).balance == MOST_CREDITS - 1


@pytest.mark.parametrize("amount", [0, MOST_AMOUNT + 1, -MOST_AMOUNT - 1])
async def test_amounts_have_bounds(table: AccountTable, amount: int) -> None:
    with pytest.raises(ValueError, match="An amount is not 0"):
        await table.post("ann", amount, "x")
    assert await table.read("ann") is None


@pytest.mark.parametrize("name", ["", ":funding", ":usage", "a\0b", "\ud800"])
async def test_names_that_no_account_can_have_are_refused(table: AccountTable, name: str) -> None:
    with pytest.raises(ValueError, match="No account can have the name"):
        await table.open(name, 1)
    with pytest.raises(ValueError, match="No account can have the name"):
        await table.post(name, 1, "x")
    assert await table.read(name) is None
    if not name.startswith(":"):
        assert await table.transactions(name, 1) == []


async def test_a_description_that_no_database_can_store_is_refused(table: AccountTable) -> None:
    with pytest.raises(ValueError, match="description"):
        await table.post("ann", 1, "a\0b")


async def test_any_posts_add_up(table: AccountTable) -> None:
    chance = Random(7)
    balances = {"ann": 0, "bob": 0}
    for _ in range(60):
        name, amount = chance.choice(("ann", "bob")), chance.choice((-1, 1)) * chance.randint(1, MOST_AMOUNT)
        balances[name] += amount
        assert (await table.post(name, amount, "x")).balance == balances[name]
    for name, balance in balances.items():
        assert sum(each.amount for each in await table.transactions(name, 100)) == balance
        assert await table.read(name) == Account(name, balance, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET amount = amount + 1",
        "UPDATE transfers SET at = 0",
        "UPDATE transfers SET debit = 'bob' WHERE debit = 'ann'",
        "UPDATE transfers SET usd_rate = 2",
        "UPDATE transfers SET sequence = 1",
        "UPDATE transfers SET balance = 1",
        "DELETE FROM transfers",
    ],
)
async def test_transfers_cannot_be_changed(table: AccountTable, statement: str) -> None:
    await table.post("ann", 10, "x")
    await table.post("ann", -3, "y")
    await AccountTable(table.engine, told_of).post("ann", 1, "z")
    before = await kept(table)
    with pytest.raises(Exception, match="append-only"):
        await table.engine.write(lambda connection: connection.execute(text(statement)))
    assert await kept(table) == before


async def test_an_account_of_a_transfer_may_get_a_pseudonym(table: AccountTable) -> None:
    await table.post("ann", 10, "x")
    await table.engine.write(
        lambda connection: connection.execute(text("UPDATE transfers SET credit = 'gone-1' WHERE credit = 'ann'"))
    )
    assert [each.amount for each in await table.transactions("gone-1", 10)] == [10]
    assert await table.transactions("ann", 10) == []


def told_of(account: str, made: Transaction, balance: int, sequence: int) -> list[OutboxRow]:
    body = json.dumps([made.id, made.amount, made.description, balance, sequence])
    return [{"id": made.id, "receiver": "r", "type": "transaction_created", "at": made.at, "body": body}]


async def kept(table: AccountTable) -> list[tuple[Any, ...]]:
    """All columns of the transfers, in the order of ids."""
    statement = "SELECT * FROM transfers ORDER BY id"
    return [tuple(row) for row in await table.engine.read(lambda connection: connection.exec_driver_sql(statement))]


async def waiting(table: AccountTable) -> list[list[Any]]:
    """Amount, description, balance and number of each transfer that is told, in order."""
    statement = "SELECT body FROM outbox ORDER BY seq"
    rows = await table.engine.read(lambda connection: connection.exec_driver_sql(statement))
    return [json.loads(row.body)[1:] for row in rows]


async def test_each_transfer_is_told_with_its_number_and_the_balance_after_it(table: AccountTable) -> None:
    telling = AccountTable(table.engine, told_of)
    await telling.post("ann", 700, "Top-up", default_nano=300)
    await telling.post("ann", -100, "Correction")
    await telling.open("ann", 300)
    await telling.open("bob", 5)
    await telling.open("eve", 0)
    await telling.post("eve", 1, "Top-up")
    assert await waiting(table) == [
        [300, OPENING, 300, 1],
        [700, "Top-up", 1000, 2],
        [-100, "Correction", 900, 3],
        [5, OPENING, 5, 1],
        [1, "Top-up", 1, 1],
    ]
    of_rows = {(row[5], row[-1], row[-2]) for row in await kept(table)}
    assert of_rows == {(description, balance, number) for _, description, balance, number in await waiting(table)}


async def test_a_replayed_or_refused_post_is_not_told(table: AccountTable) -> None:
    telling = AccountTable(table.engine, told_of)
    for _ in range(3):
        await telling.post("ann", 700, "Top-up", idempotency=("admin:1", "d"))
    await telling.open("rich", MOST_CREDITS)
    with pytest.raises(CreditsExceeded):
        await telling.post("rich", 1, "Top-up")
    with pytest.raises(IdempotencyConflict):
        await telling.post("ann", 700, "Top-up", idempotency=("admin:1", "other"))
    assert await waiting(table) == [[700, "Top-up", 700, 1], [MOST_CREDITS, OPENING, MOST_CREDITS, 1]]


async def test_transfers_that_nobody_gets_are_not_numbered(table: AccountTable) -> None:
    await table.post("ann", 700, "Top-up", default_nano=300)
    await AccountTable(table.engine, told_of).post("ann", 1, "Top-up")
    assert [number for *_, number in await waiting(table)] == [1]
    await table.post("ann", 2, "Top-up")  # the receiver was removed again
    assert sorted(row[4:5] + row[-2:] for row in await kept(table)) == [
        *((1, 1, 1_001), (2, None, None), (300, None, None), (700, None, None)),
    ]


async def test_replicas_number_transfers_without_gaps(url: str, table: AccountTable) -> None:
    await table.open("ann", 0)
    async with table_of(url) as other:
        both = [AccountTable(each.engine, told_of) for each in (table, other)]
        await asyncio.gather(*(each.post("ann", 1, "Top-up") for each in both for _ in range(5)))
    told = await waiting(table)
    assert sorted(number for *_, number in told) == [*range(1, 11)]
    assert all(balance == number for _, _, balance, number in told)
