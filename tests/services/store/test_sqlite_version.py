"""Reading the version of a SQLite file without an engine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.services.store.base import EntriesDown
from proxy.services.store.sqlite_version import SqliteVersion


def test_no_file_and_no_table_are_version_0_and_nothing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "sluice.db"
    version = SqliteVersion(str(path))
    assert version.read() == 0
    assert not path.exists()
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE other (x)")
    assert version.read() == 0


def test_the_last_change_is_the_version_while_a_writer_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "with space?.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE routing_changes (seq INTEGER PRIMARY KEY)")
        writer.execute("INSERT INTO routing_changes VALUES (7)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO routing_changes VALUES (8)")
        assert SqliteVersion(str(path)).read() == 7
        writer.execute("COMMIT")
        assert SqliteVersion(str(path)).read() == 8


def test_a_locked_file_has_no_version_for_the_moment(tmp_path: Path) -> None:
    path = tmp_path / "sluice.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE routing_changes (seq INTEGER PRIMARY KEY)")
        writer.execute("BEGIN EXCLUSIVE")
        assert SqliteVersion(str(path)).read() is None


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "sluice.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(EntriesDown):
        SqliteVersion(str(path)).read()
