"""The outbox in a SQLite file that others write, replace and remove."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.database.address import Address
from proxy.events.outbox.base import OutboxUnavailable
from proxy.events.outbox.sqlite import SqliteOutbox
from tests.events.outbox.outboxes import AT, RECEIVER, insert
from tests.ledger.recorder.databases import make_file


async def test_a_file_that_is_missing_is_not_made(tmp_path: Path) -> None:
    outbox = SqliteOutbox(str(tmp_path / "none.db"))
    with pytest.raises(OutboxUnavailable):
        await outbox.take(RECEIVER, AT, 1)
    assert not (tmp_path / "none.db").exists()
    await make_file(tmp_path / "none.db")
    assert await outbox.take(RECEIVER, AT, 1) == []
    await outbox.close()


async def test_a_file_that_was_replaced_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await make_file(path)
    outbox = SqliteOutbox(str(path))
    assert await outbox.take(RECEIVER, AT, 1) == []
    await make_file(tmp_path / "b.db")
    await insert(Address("sqlite", str(tmp_path / "b.db")), "restored")
    (tmp_path / "b.db").replace(path)
    assert [each.id for each in await outbox.take(RECEIVER, AT, 1)] == ["restored"]
    await outbox.close()


async def test_a_writer_makes_it_unavailable_for_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await make_file(path)
    outbox = SqliteOutbox(str(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutboxUnavailable, match="locked"):
            await outbox.hold(RECEIVER, "h", 30.0)
        writer.execute("ROLLBACK")
    assert await outbox.hold(RECEIVER, "h", 30.0)
    await outbox.close()


async def test_a_hold_lasts_by_the_clock(tmp_path: Path) -> None:
    now = AT
    await make_file(tmp_path / "a.db")
    outbox = SqliteOutbox(str(tmp_path / "a.db"), lambda: now)
    assert await outbox.hold(RECEIVER, "one", 30.0)
    now += 29.9
    assert not await outbox.hold(RECEIVER, "two", 30.0)
    now += 0.1
    assert await outbox.hold(RECEIVER, "two", 30.0)
    await outbox.close()
