"""The ledger in a SQLite file that others use, too. What both databases do is in test_contract.py."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from proxy.database.address import Address
from proxy.ledger.recorder import sqlite
from proxy.ledger.recorder.base import DatabaseUnavailable, TablesOutdated
from tests.ledger.recorder.databases import migrated, opened, query
from tests.ledger.rows import ROW


@pytest.fixture
async def where(tmp_path: Path) -> AsyncIterator[Address]:
    async with migrated("sqlite", tmp_path) as found:
        yield found


async def test_a_file_that_another_process_locks_is_waited_for(where: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MS", 1)
    async with opened(where) as ledger:
        with closing(sqlite3.connect(where.target, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseUnavailable, match="locked"):
                await ledger.write([ROW])
            other.execute("ROLLBACK")
        assert await ledger.write([ROW]) == 1


async def test_a_file_that_is_no_database_is_told_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "no.db"
    path.write_bytes(b"something else" * 100)
    async with opened(Address("sqlite", str(path))) as ledger:
        with pytest.raises(DatabaseUnavailable, match="not a database"):
            await ledger.write([ROW])
    assert path.read_bytes() == b"something else" * 100


async def test_a_file_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    async with opened(Address("sqlite", str(path))) as ledger:
        with pytest.raises(TablesOutdated):
            await ledger.write([ROW])
    assert not path.exists()


async def test_a_file_that_was_removed_or_replaced_takes_no_more_rows(where: Address, tmp_path: Path) -> None:
    path, backup = Path(where.target), tmp_path / "backup.db"
    async with opened(where) as ledger:
        await ledger.write([ROW])
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as copy:
            source.backup(copy)
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            each.unlink(missing_ok=True)
        with pytest.raises(TablesOutdated):
            await ledger.write([structs.replace(ROW, id="b")])
        backup.rename(path)
        assert await ledger.write([structs.replace(ROW, id="b")]) == 1
    assert await query(where, "SELECT count(*) FROM ledger") == [(2,)]


async def test_a_disk_that_is_full_leaves_nothing_half_written(where: Address) -> None:
    async with opened(where) as ledger:
        await ledger.write([ROW])
        connection = ledger._connection  # type: ignore[attr-defined]
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DatabaseUnavailable, match="full"):
            await ledger.write([structs.replace(ROW, id=f"{n}", model="x" * 1000) for n in range(100)])
        assert await query(where, "SELECT count(*) FROM ledger") == [(1,)]
        assert await ledger.write([structs.replace(ROW, id="b")]) == 1  # a new connection has no such limit


async def test_a_commit_is_on_the_disk_when_it_returns(where: Address) -> None:
    async with opened(where) as ledger:
        await ledger.write([ROW])
        connection = ledger._connection  # type: ignore[attr-defined]
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
