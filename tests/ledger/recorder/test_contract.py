"""What both databases promise the recorder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from proxy.database import drivers
from proxy.database.address import Address
from proxy.database.columns import CLASSES, DIMENSIONS, digest
from proxy.database.upkeep.verify import Period, differences
from proxy.ledger.recorder.base import DatabaseUnavailable, LedgerDatabase, RowsRejected, TablesOutdated
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.recorder.values import cleaned, values
from proxy.ledger.row import COLUMNS, Row
from tests.database.databases import KINDS, address, new_database
from tests.ledger.recorder.databases import migrated, opened, query
from tests.ledger.rows import ROW

AT = 1_790_000_000.25


@pytest.fixture(params=KINDS)
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Address]:
    async with migrated(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def ledger(where: Address) -> AsyncIterator[LedgerDatabase]:
    async with opened(where) as found:
        yield found


def row(id: str, at: float = AT, **changes: Any) -> Row:  # noqa: A002 - the column's name
    return structs.replace(ROW, id=id, at=at, **changes)


async def ids(where: Address) -> list[str]:
    return [id for (id,) in await query(where, "SELECT id FROM ledger ORDER BY id")]  # noqa: A001


async def total(where: Address, name: str) -> int:
    return int((await query(where, f'SELECT sum("{name}") FROM ledger_hours'))[0][0] or 0)


async def label_attempts(where: Address) -> list[tuple[Any, ...]]:
    statement = (
        "SELECT name, value, CAST(sum(attempts) AS BIGINT) FROM ledger_labels GROUP BY name, value ORDER BY 1, 2"
    )
    return await query(where, statement)


async def test_every_value_of_a_row_comes_back(where: Address, ledger: LedgerDatabase) -> None:
    whole = Row(
        *("w1", AT, "r", 2, "chat/completions", False, "a", "b", "m", "p", "d", "u", "c", "k", "o", "t", "j"),
        *({"ü": '"\n'}, "run", 2**40, 3, True, "ok", 200, "rm", 0.5, 1.5, 2.5, 3.5, 4.5, "provider"),
        *range(11),
        *("flex", 10**14, "catalog", "v1", 0.9),
    )
    assert await ledger.write([whole, row("w2", cost=None)]) == 2
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    found = await query(where, f"SELECT {names} FROM ledger ORDER BY id")
    assert [list(each) for each in found] == [values(whole), values(row("w2", cost=None))]


async def test_rows_and_sums_are_written_once_however_often_they_come(where: Address, ledger: LedgerDatabase) -> None:
    assert await ledger.write([row("a"), row("b")]) == 2
    assert await ledger.write([row("b", input=99), row("c"), row("c")]) == 1
    assert await ledger.write([row("a"), row("b"), row("c")]) == 0
    assert await ids(where) == ["a", "b", "c"]
    assert await total(where, "attempts") == 3
    assert await label_attempts(where) == [("", "", 3), ("label:a", "b", 3)]
    assert await total(where, "input") == 3 * 1001


async def test_answers_from_the_cache_are_summed_with_what_they_saved(where: Address, ledger: LedgerDatabase) -> None:
    given = [row(name, attempt=0, end="cached", cost=0, saved=saved) for name, saved in (("a", 5), ("b", None))]
    assert await ledger.write([*given, row("c")]) == 3
    assert await query(where, "SELECT id, saved FROM ledger ORDER BY id") == [("a", 5), ("b", None), ("c", None)]
    for table in ("ledger_hours", "ledger_labels WHERE name = 'label:a'"):
        sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in ("attempts", "from_cache", "saved"))
        assert [tuple(each) for each in await query(where, f"SELECT {sums} FROM {table}")] == [(3, 2, 5)]


async def test_attempts_that_have_their_row_are_found(where: Address, ledger: LedgerDatabase) -> None:
    await ledger.write([row("a"), row("b")])
    assert await ledger.present([(AT, "a"), (AT + 1, "b"), (AT, "c"), (AT, "b")]) == {"a", "b"}
    assert await ledger.present([(AT + 1, "b")]) == set()


async def test_a_row_is_in_the_sums_of_its_run_and_of_each_label(where: Address, ledger: LedgerDatabase) -> None:
    rows = [
        row(f"{number}", run=f"run-{number % 3}", labels={"app": "xy"[number % 2], "env": "prod", "none": ""})
        for number in range(12)
    ]
    await ledger.write([*rows[:7], row("lost", end="lost", labels={})])
    await ledger.write(rows[5:])
    assert await label_attempts(where) == [
        ("", "", 13),
        *(("label:app", "x", 6), ("label:app", "y", 6), ("label:env", "prod", 12)),
        *((("run", f"run-{number}", 4)) for number in range(3)),
    ]
    lasted = await query(where, "SELECT with_duration FROM ledger_labels WHERE name = ''")
    assert lasted == [(12,)]


async def test_the_same_id_at_another_time_is_another_attempt(where: Address, ledger: LedgerDatabase) -> None:
    assert await ledger.write([row("a"), row("a", AT + 1)]) == 2
    assert await total(where, "attempts") == 2


async def test_sums_are_by_hour_and_dimensions(where: Address, ledger: LedgerDatabase) -> None:
    hour = int(AT // 3600) * 3600
    await ledger.write([row("a"), row("b", hour + 3599.9), row("c", hour + 3600.0), row("d", owner="x")])
    await ledger.write([row("e")])
    found = await query(where, "SELECT hour, digest, owner, attempts FROM ledger_hours ORDER BY hour, owner")
    assert found == [
        (hour, digest_of(row("a")), "o", 3),
        (hour, digest_of(row("d", owner="x")), "x", 1),
        (hour + 3600, digest_of(row("a")), "o", 1),
    ]


def digest_of(each: Row) -> str:
    return digest([getattr(each, name) for name in DIMENSIONS])


@pytest.mark.parametrize(
    "bad",
    [
        {"model": "a\0b"},
        {"input": 2**63},
        {"status": 2**31},
        {"run": "\ud800"},
        {"cost": 10**16},
        {"ended_ms": float("inf")},
        {"at": float("nan")},
    ],
)
async def test_rows_that_a_database_cannot_hold_are_rejected_as_a_whole_and_can_be_cleaned(
    where: Address, ledger: LedgerDatabase, bad: dict[str, Any]
) -> None:
    rows = [row("a"), structs.replace(row("b"), **bad)]
    try:
        await ledger.write(rows)
    except RowsRejected:
        assert await ids(where) == []
        assert await total(where, "attempts") == 0
        assert await ledger.write([row("a")]) == 1
    else:
        assert where.kind == "sqlite"  # which knows NUL, and larger integers for a status
        assert bad.keys() <= {"model", "status"}
    if "at" not in bad:
        assert await ledger.write([cleaned(each) for each in rows]) in (0, 1)
        assert await ids(where) == ["a", "b"]


async def test_old_rows_and_sums_expire_little_by_little(
    where: Address, ledger: LedgerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"proxy.ledger.recorder.{'sqlite' if where.kind == 'sqlite' else 'postgres'}.EXPIRE_AT_ONCE", 2)
    day = 86400.0
    await ledger.write([row(f"{age}{n}", AT - age * day) for age in (0, 1, 2, 100) for n in range(3)])
    steps = 1
    while await ledger.expire(Expiry(AT - 1.5 * day, AT - 50 * day)):
        steps += 1
    assert await ids(where) == ["00", "01", "02", "10", "11", "12"]
    assert steps > 2
    assert await total(where, "attempts") == 9
    assert await label_attempts(where) == [("", "", 9), ("label:a", "b", 9)]
    assert not await ledger.expire(Expiry(AT - 1.5 * day, AT - 50 * day))


@pytest.mark.parametrize("kind", KINDS)
async def test_missing_tables_and_columns_are_told(kind: str, tmp_path: Path) -> None:
    async with new_database(kind, tmp_path) as url, opened(address(url)) as ledger:
        for statement in ("", "CREATE TABLE ledger (id TEXT)"):
            if statement:
                await query(address(url), statement)
            with pytest.raises(TablesOutdated):
                await ledger.write([row("a")])


async def test_columns_of_a_newer_version_do_no_harm(where: Address, ledger: LedgerDatabase) -> None:
    await query(where, "ALTER TABLE ledger ADD COLUMN newer TEXT NOT NULL DEFAULT ''")
    assert await ledger.write([row("a")]) == 1


async def test_tables_that_vanish_are_told_and_found_again(where: Address, ledger: LedgerDatabase) -> None:
    await ledger.write([row("a")])
    await query(where, "ALTER TABLE ledger_hours RENAME TO away")
    for _ in range(2):
        try:
            await ledger.write([row("b")])
        except (TablesOutdated, DatabaseUnavailable) as error:
            last: Sequence[Exception] = [error]
    assert isinstance(last[0], TablesOutdated)
    await query(where, "ALTER TABLE away RENAME TO ledger_hours")
    assert await ledger.write([row("b")]) == 1


async def test_the_sums_are_those_that_a_verification_makes_of_the_rows(where: Address, ledger: LedgerDatabase) -> None:
    chance = Random(7)
    some = (None, 0, 1, 999)
    rows = [
        row(
            f"{number}",
            AT + chance.random() * 7200,
            owner=chance.choice("ab"),
            run=chance.choice(("", "r", "s")),
            labels={name: chance.choice(("", "1", "ü'\"")) for name in chance.sample(("x", "y.z", 'q"'), 2)},
            end=chance.choice(("ok", "lost")),
            answered=chance.random() < 0.5,
            usage_source=chance.choice(("provider", "estimated", "unknown", "none")),
            cost=chance.choice(some),
            ended_ms=chance.choice((None, 0.5, 1.5, 2.5, 2.49, 1e6 / 3)),
            first_content_ms=chance.choice((None, 0.5, 1.5, 2.5)),
            **{name: chance.choice(some) for name in CLASSES},
        )
        for number in range(300)
    ]
    for begin in range(0, 300, 70):
        await ledger.write(rows[begin : begin + 100])
    engine = drivers.open_single(where, 5.0)
    period = Period(int(AT // 3600) * 3600, int(AT // 3600) * 3600 + 4 * 3600, 0)
    assert [each async for each in differences(engine, period)] == []
    await engine.dispose()
