"""What rows add to budget counters and charge to accounts: the sums themselves, and in both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from proxy.database.address import Address
from proxy.database.columns import CLASSES
from proxy.ledger.recorder.base import LedgerDatabase, RowsRejected
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.recorder.spending import (
    COLUMNS,
    AccountState,
    Spend,
    by_account,
    charges,
    columns_of,
    describe,
    not_among,
    numbered,
    opening,
    spends,
    tokens_of,
)
from proxy.ledger.recorder.values import cleaned
from proxy.ledger.row import Row
from proxy.routing.endpoints import ENDPOINTS
from tests.database.databases import KINDS
from tests.ledger.recorder.databases import migrated, opened, query
from tests.ledger.rows import ROW

AT = 1_790_000_000.25
ONE, TWO = "1" * 16, "2" * 16
DAILY, BALANCE = "daily/2026-09-21/ann", "balance/total/ann"
DAY = 86400.0


@pytest.fixture(params=KINDS)
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Address]:
    async with migrated(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def ledger(where: Address) -> AsyncIterator[LedgerDatabase]:
    async with opened(where) as found:
        yield found


def row(number: int, process: str = ONE, **changes: Any) -> Row:
    values = {"answered": True, "end": "ok", "usage_source": "provider", "cost": 100, "counters": [DAILY, BALANCE]}
    return structs.replace(ROW, id=f"{process}{number}", at=AT + number, request_id=f"r{number}", **values | changes)


async def spent(where: Address) -> list[tuple[Any, ...]]:
    return await query(where, "SELECT counter, process, nano, tokens FROM budget_spend ORDER BY counter, process")


async def accounts(where: Address) -> list[tuple[Any, ...]]:
    return await query(where, "SELECT id, credits, charges FROM accounts ORDER BY id")


async def transfers(where: Address) -> list[tuple[Any, ...]]:
    return await query(where, "SELECT debit, credit, amount, description FROM transfers ORDER BY at, debit")


# -- pure ---------------------------------------------------------------------------------------------


def test_tokens_are_of_all_classes_without_images() -> None:
    classes = dict(zip(CLASSES, range(1, 12), strict=True))
    assert tokens_of(row(1, **classes)) == sum(classes.values()) - classes["images"]
    assert tokens_of(row(1, **dict.fromkeys(CLASSES))) == 0


def test_spends_are_by_counter_and_process_in_order() -> None:
    rows = [
        row(3, TWO, ended_ms=500.0),
        row(1, counters=["c/total/x"], cost=None),
        row(2, cost=7),
        row(9, counters=[]),
    ]
    assert spends(rows) == [
        Spend(BALANCE, ONE, 7, 1004, AT + 2),
        Spend(BALANCE, TWO, 100, 1004, AT + 3.5),
        Spend("c/total/x", ONE, 0, 1004, AT + 1),
        Spend(DAILY, ONE, 7, 1004, AT + 2),
        Spend(DAILY, TWO, 100, 1004, AT + 3.5),
    ]


def test_absurd_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="beyond"):
        spends([row(1, cost=10**16)])


def test_rows_that_cost_something_are_charged_to_the_account_of_their_balance() -> None:
    rows = [
        row(1, ended_ms=250.0, usd_rate=0.9),
        row(2, cost=0),
        row(3, cost=None),
        row(4, counters=[DAILY]),
        row(5, counters=["balance/total/"]),
        row(6, counters=["balance/total/:usage"]),
        row(7, counters=["balance/total/a/b"], cost=3),
    ]
    found = charges(rows)
    assert [tuple(each) for each in found] == [
        (f"{ONE}1", AT + 1.25, "ann", 100, "Chat completion with m", "r1", 0.9),
        (f"{ONE}7", AT + 7, "a/b", 3, "Chat completion with m", "r7", None),
    ]
    assert by_account([*found, found[0]]) == [("a/b", 3, AT + 7), ("ann", 200, AT + 1.25)]


def test_charges_whose_ids_are_known_are_left_out() -> None:
    found = charges([row(1), row(2), row(2), row(3)])
    assert [each.id for each in not_among({f"{ONE}1"}, found)] == [f"{ONE}2", f"{ONE}3"]


def test_a_transfer_is_from_its_account_if_it_is_a_charge() -> None:
    (charge,) = numbered(charges([row(1, usd_rate=0.9)]), [AccountState("ann", 500, 100, 2)])
    made = opening("ann", AT, 500)
    rows = [dict(zip(COLUMNS["transfers"], columns_of(each), strict=True)) for each in (made, charge)]
    words = {"description": "Opening balance", "request_id": "", "usd_rate": None}
    assert rows == [
        {"id": made.id, "at": AT, "debit": ":funding", "credit": "ann", "amount": 500, "sequence": 1, "balance": 500}
        | words,
        {"id": f"{ONE}1", "at": AT + 1, "debit": "ann", "credit": ":usage", "amount": 100, "sequence": 2}
        | {"balance": 400, "description": "Chat completion with m", "request_id": "r1", "usd_rate": 0.9},
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Chat completion with m"),
        ({"end": "client_gone"}, "Chat completion with m"),
        ({"endpoint": "embeddings"}, "Embeddings with m"),
        ({"endpoint": "images/edits", "model": ""}, "Images with up"),
        ({"endpoint": "*", "model": "", "upstream_model": ""}, "Call with p"),
        ({"answered": False, "end": "timeout"}, "Unused answer of m"),
        ({"answered": False, "end": "lost"}, "Lost call with m"),
    ],
)
def test_a_charge_says_what_it_is_for(changes: dict[str, Any], words: str) -> None:
    assert describe(row(1, **changes)) == words


def test_every_endpoint_that_is_billed_has_a_name() -> None:
    free = ("responses/input_tokens", "messages/count_tokens", "countTokens")
    unnamed = [each.path for each in ENDPOINTS if describe(row(1, endpoint=each.path)).startswith("Call ")]
    assert sorted({*unnamed}) == sorted(free)


# -- in a database ------------------------------------------------------------------------------------


async def test_rows_are_added_once_however_often_they_come(where: Address, ledger: LedgerDatabase) -> None:
    assert await ledger.write([row(1), row(2, TWO)]) == 2
    assert await ledger.write([row(2, TWO, cost=9), row(3), row(3), row(4, counters=[])]) == 2
    assert await ledger.write([row(1), row(2, TWO), row(3)]) == 0
    assert await spent(where) == [
        (BALANCE, ONE, 200, 2008),
        (BALANCE, TWO, 100, 1004),
        (DAILY, ONE, 200, 2008),
        (DAILY, TWO, 100, 1004),
    ]
    assert await accounts(where) == [("ann", 0, 300)]
    assert await transfers(where) == [("ann", ":usage", 100, "Chat completion with m")] * 3


async def test_an_account_that_is_missing_is_opened_with_the_default(where: Address) -> None:
    ledger = open_ledger(where, 5_000)
    await ledger.write([row(1), row(2, ended_ms=10.0, counters=["balance/total/bob"])])
    await ledger.write([row(3)])
    await ledger.close()
    assert await accounts(where) == [("ann", 5_000, 200), ("bob", 5_000, 100)]
    assert sorted(await transfers(where)) == [
        (":funding", "ann", 5_000, "Opening balance"),
        (":funding", "bob", 5_000, "Opening balance"),
        ("ann", ":usage", 100, "Chat completion with m"),
        ("ann", ":usage", 100, "Chat completion with m"),
        ("bob", ":usage", 100, "Chat completion with m"),
    ]


async def test_a_transfer_keeps_what_the_row_says(where: Address, ledger: LedgerDatabase) -> None:
    await ledger.write([row(1, ended_ms=250.0, usd_rate=0.9)])
    found = await query(where, "SELECT id, at, request_id, usd_rate FROM transfers")
    assert found == [(f"{ONE}1", AT + 1.25, "r1", 0.9)]


async def test_a_row_whose_transfer_is_there_is_not_charged_again(where: Address, ledger: LedgerDatabase) -> None:
    """As retention may have deleted the row itself."""
    await ledger.write([row(1)])
    await query(where, "DELETE FROM ledger")
    assert await ledger.write([row(1), row(2)]) == 2
    assert await accounts(where) == [("ann", 0, 200)]
    assert len(await transfers(where)) == 2


async def test_a_refused_batch_spends_nothing(where: Address, ledger: LedgerDatabase) -> None:
    with pytest.raises(RowsRejected):
        await ledger.write([row(1), row(2, cost=10**16)])
    assert await spent(where) == await accounts(where) == await transfers(where) == []


async def test_a_counter_that_no_database_can_store_is_cleaned(where: Address, ledger: LedgerDatabase) -> None:
    odd = row(1, counters=["balance/total/a\0b\ud800", DAILY])
    with pytest.raises(RowsRejected):
        await ledger.write([odd])
    assert await ledger.write([cleaned(odd)]) == 1
    assert [id for id, *_ in await accounts(where)] == ["a\ufffdb?"]  # noqa: A001 - the column's name


async def test_windows_and_runs_expire_and_totals_become_one_sum(
    where: Address, ledger: LedgerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"proxy.ledger.recorder.{'sqlite' if where.kind == 'sqlite' else 'postgres'}.EXPIRE_AT_ONCE", 2)
    keys = ["d/2026-09-21/a", "m/2026-09/x/run/y", "r/run/z/total/q", "t/total/a", BALANCE]
    for process in ("1", "2", "3", "4"):
        await ledger.write([row(int(process), process * 16, counters=keys)])
    for before in (Expiry(runs=AT + 3), Expiry(windows=AT + 3), Expiry(processes=AT + 4)):
        while await ledger.expire(before):
            pass
    found = {
        key: [(process[:1], nano) for counter, process, nano, _ in await spent(where) if counter == key] for key in keys
    }
    assert found == {
        "d/2026-09-21/a": [("3", 100), ("4", 100)],
        "m/2026-09/x/run/y": [("3", 100), ("4", 100)],
        "r/run/z/total/q": [("3", 100), ("4", 100)],
        "t/total/a": [("", 300), ("4", 100)],
        BALANCE: [("", 300), ("4", 100)],
    }
    assert await accounts(where) == [("ann", 0, 400)]
    assert len(await transfers(where)) == 4


async def test_answers_to_posts_expire(where: Address, ledger: LedgerDatabase) -> None:
    for number in range(3):
        await query(where, f"INSERT INTO idempotency VALUES ('k{number}', 'a', 'd', '1', {number})")
    await ledger.write([row(1)])
    assert not await ledger.expire(Expiry(answers=2.0))
    assert await query(where, "SELECT key FROM idempotency") == [("k2",)]
