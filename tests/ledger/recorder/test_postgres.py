"""The ledger in PostgreSQL: partitions, and connections that fail. What both databases do is in test_contract.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from proxy.database.address import Address
from proxy.ledger.recorder import postgres
from proxy.ledger.recorder.base import DatabaseUnavailable, RowsRejected
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.recorder.months import month_of
from proxy.ledger.recorder.postgres import PostgresLedger
from tests.database.databases import Forwarder
from tests.ledger.recorder.databases import migrated, opened, query
from tests.ledger.rows import ROW
from tests.support.patience import within

NOVEMBER = 1_793_800_000.0  # 2026-11-04
YEAR = 365.25 * 86400


@pytest.fixture
async def where(tmp_path: Path) -> AsyncIterator[Address]:
    async with migrated("postgresql", tmp_path) as found:
        yield found


async def partitions(where: Address) -> set[str]:
    found = await query(where, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ledger'::regclass")
    return {name for (name,) in found}


async def test_months_get_their_partition_before_they_begin(where: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres.time, "time", lambda: month_of(NOVEMBER).end - 3600.0)
    async with opened(where) as ledger:
        await ledger.write([structs.replace(ROW, at=NOVEMBER)])
        assert await partitions(where) == {"ledger_2026_11", "ledger_2026_12"}
        await ledger.write([structs.replace(ROW, at=NOVEMBER - YEAR), structs.replace(ROW, at=NOVEMBER)])
    assert await partitions(where) == {"ledger_2025_11", "ledger_2026_11", "ledger_2026_12"}
    assert await query(where, "SELECT count(*) FROM ledger") == [(2,)]


@pytest.mark.parametrize("column", ["owner", "model", "response_model", "request_id", "run", "labels", "counters"])
async def test_a_text_that_no_index_takes_does_not_hold_up_the_others(where: Address, column: str) -> None:
    """It comes from the broker: a gateway cuts its own texts."""
    text = "".join(chr(0x4E00 + number) for number in Random(1).sample(range(20_000), 12_000))  # is not compressed well
    long = {"labels": {"a": text}, "counters": [f"daily/2026-11-04/{text}"]}.get(column, text)
    async with opened(where) as ledger:
        try:
            await ledger.write([structs.replace(ROW, at=NOVEMBER, **{column: long})])
        except RowsRejected:
            pass
        await ledger.write([structs.replace(ROW, id="good", at=NOVEMBER)])


async def test_several_recorders_make_partitions_and_sums_at_once(where: Address) -> None:
    rows = [structs.replace(ROW, id=f"{n}", at=NOVEMBER + n * 20 * 86400) for n in range(10)]
    ledgers = [PostgresLedger(where.target) for _ in range(4)]
    counts = await within(asyncio.gather(*(ledger.write(rows) for ledger in ledgers)), "the recorders")
    assert sum(counts) == len(rows)
    await asyncio.gather(*(ledger.close() for ledger in ledgers))
    assert await query(where, "SELECT sum(attempts)::int FROM ledger_hours") == [(len(rows),)]


async def test_a_whole_month_that_is_old_is_dropped_and_can_come_back(where: Address) -> None:
    old = structs.replace(ROW, at=NOVEMBER - YEAR)
    async with opened(where) as ledger, opened(where) as other:
        await other.write([old])
        await ledger.write([structs.replace(ROW, at=NOVEMBER)])
        while await ledger.expire(Expiry(NOVEMBER - YEAR / 2)):
            pass
        assert "ledger_2025_11" not in await partitions(where)
        with pytest.raises(DatabaseUnavailable, match="no partition"):
            await other.write([old])
        assert await other.write([old]) == 1


async def test_while_one_recorder_expires_another_does_not(where: Address) -> None:
    async with opened(where) as ledger:
        await ledger.write([structs.replace(ROW, at=NOVEMBER)])
        assert isinstance(ledger, PostgresLedger)
        async with ledger._checked() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", postgres._EXPIRE_LOCK)
            async with opened(where) as other:
                assert not await other.expire(Expiry(NOVEMBER + 1))
        assert await query(where, "SELECT count(*) FROM ledger") == [(1,)]


async def test_a_connection_that_breaks_is_made_anew(where: Address) -> None:
    async with Forwarder(where.target) as way, opened(Address("postgresql", way.url)) as ledger:
        assert await ledger.write([structs.replace(ROW, id="a")]) == 1
        await way.cut()
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await ledger.write([structs.replace(ROW, id="b")])
        await way.restore()
        assert await ledger.write([structs.replace(ROW, id="a"), structs.replace(ROW, id="b")]) == 1


async def test_a_server_that_does_not_answer_is_given_up(where: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "COMMAND_SECS", 0.5)  # the first write has to fit in, on a busy machine
    async with Forwarder(where.target) as way, opened(Address("postgresql", way.url)) as ledger:
        await ledger.write([structs.replace(ROW, id="a")])
        way.hold()
        with pytest.raises(DatabaseUnavailable, match="in time"):
            await ledger.write([structs.replace(ROW, id="b")])
        await way.restore()
        monkeypatch.setattr(postgres, "COMMAND_SECS", 30.0)
        assert await ledger.write([structs.replace(ROW, id="b")]) in (0, 1)


async def test_a_server_that_refuses_us_is_no_fault_of_the_rows(where: Address) -> None:
    for target in ("postgresql://nobody@127.0.0.1:1/x", f"{where.target}_missing", f"{where.target}?sslmode=nonsense"):
        async with opened(Address("postgresql", target)) as ledger:
            with pytest.raises(DatabaseUnavailable):
                await ledger.write([ROW])


async def test_a_server_that_is_read_only_is_down(where: Address) -> None:
    async with opened(where) as ledger:
        await ledger.write([ROW])
    async with opened(Address("postgresql", f"{where.target}?default_transaction_read_only=on")) as ledger:
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            await ledger.write([structs.replace(ROW, id="b")])
