"""Backups of the SQLite file in use, and restores that replace it as a whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.config.schema import Database
from proxy.database.copies import back_up, restore
from proxy.database.opening import upgrade
from proxy.errors import ConfigError

ROW = (
    "INSERT INTO api_keys (id, name, owner, hash, enabled, models, providers, scopes, created_at, changed_at, deleted,"
    " revision) VALUES (?, 'k', '', ?, 1, '[]', '[]', '[]', 1, 1, 0, 1)"
)


async def new_database(path: Path, *keys: str) -> Path:
    await upgrade(Database(url=f"sqlite:///{path}"), "")
    add(path, *keys)
    return path


def add(path: Path, *keys: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(ROW, [(key, f"sha256:{key}") for key in keys])


def keys_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [key for (key,) in connection.execute("SELECT id FROM api_keys ORDER BY id")]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_backup_has_the_rows_that_were_committed_and_not_those_of_an_open_transaction(tmp_path: Path) -> None:
    live, copy = await new_database(tmp_path / "live.db", "a"), tmp_path / "copy.db"
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(ROW, ("b", "sha256:b"))
        assert back_up(live, copy) == 1  # and does not wait for the writer
        writer.execute("COMMIT")
    assert keys_of(copy) == ["a"]
    assert keys_of(live) == ["a", "b"]
    assert files(tmp_path) == ["copy.db", "live.db"]
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_a_backup_replaces_no_file(tmp_path: Path) -> None:
    live, copy = await new_database(tmp_path / "live.db"), tmp_path / "copy.db"
    copy.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        back_up(live, copy)
    assert copy.read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "why"), [(None, "does not exist"), (b"", "no table api_keys"), (b"text" * 500, "is not a database")]
)
def test_a_backup_of_something_else_is_refused_and_leaves_no_file(
    content: bytes | None, why: str, tmp_path: Path
) -> None:
    live = tmp_path / "live.db"
    if content is not None:
        live.write_bytes(content)
    before = files(tmp_path)
    with pytest.raises(ConfigError, match=why):
        back_up(live, tmp_path / "copy.db")
    assert files(tmp_path) == before


async def test_a_restore_makes_the_file_and_its_folder(tmp_path: Path) -> None:
    saved = await new_database(tmp_path / "saved.db", "a")
    target = tmp_path / "new" / "live.db"
    assert restore(saved, target, replace=False) is None
    assert keys_of(target) == ["a"]
    assert target.stat().st_mode & 0o777 == 0o600


async def test_a_restore_replaces_keys_only_by_force_and_keeps_the_previous_file(tmp_path: Path) -> None:
    saved = await new_database(tmp_path / "saved.db", "a")
    live = await new_database(tmp_path / "live.db", "b")
    with pytest.raises(ConfigError, match="is not empty; --force"):
        restore(saved, live, replace=False)
    assert keys_of(live) == ["b"]
    kept = restore(saved, live, replace=True)
    assert kept is not None
    assert kept.name.startswith("live.db.before-restore-")
    assert (keys_of(live), keys_of(kept)) == (["a"], ["b"])


async def test_a_restore_needs_no_force_for_a_database_without_keys(tmp_path: Path) -> None:
    saved = await new_database(tmp_path / "saved.db", "a")
    live = await new_database(tmp_path / "live.db")
    restore(saved, live, replace=False)
    assert keys_of(live) == ["a"]


async def test_a_restore_is_refused_while_a_connection_is_open(tmp_path: Path) -> None:
    saved = await new_database(tmp_path / "saved.db", "a")
    live = await new_database(tmp_path / "live.db", "b")
    with closing(sqlite3.connect(live)) as idle:
        assert idle.execute("SELECT count(*) FROM api_keys").fetchone() == (1,)
        with pytest.raises(ConfigError, match="is in use; stop the gateway first"):
            restore(saved, live, replace=True)
    assert keys_of(live) == ["b"]


async def test_the_log_of_the_previous_database_is_not_applied_to_the_new_one(tmp_path: Path) -> None:
    """A killed gateway leaves a -wal with rows that are not in the file yet."""
    saved = await new_database(tmp_path / "saved.db", "a")
    live = await new_database(tmp_path / "live.db", "b")
    with closing(sqlite3.connect(live)) as killed:
        killed.execute("PRAGMA wal_autocheckpoint = 0")
        with killed:
            killed.execute(ROW, ("c", "sha256:c"))
        left = {name: (tmp_path / name).read_bytes() for name in ("live.db", "live.db-wal", "live.db-shm")}
    for name, content in left.items():
        (tmp_path / name).write_bytes(content)
    kept = restore(saved, live, replace=True)
    assert kept is not None
    assert (keys_of(live), keys_of(kept)) == (["a"], ["b", "c"])
    assert not (tmp_path / "live.db-wal").exists()


async def test_a_damaged_database_is_replaced_by_force_with_what_is_beside_it(tmp_path: Path) -> None:
    saved = await new_database(tmp_path / "saved.db", "a")
    live = tmp_path / "live.db"
    live.write_bytes(b"damaged" * 1000)
    (tmp_path / "live.db-wal").write_bytes(b"old log")
    kept = restore(saved, live, replace=True)
    assert kept is not None
    assert kept.read_bytes() == b"damaged" * 1000
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"old log"
    assert keys_of(live) == ["a"]


async def test_a_log_without_its_database_is_not_applied(tmp_path: Path) -> None:
    saved = await new_database(tmp_path / "saved.db", "a")
    (tmp_path / "live.db-wal").write_bytes(b"old log")
    restore(saved, tmp_path / "live.db", replace=False)
    assert files(tmp_path) == ["live.db", "saved.db"]


async def test_a_damaged_backup_changes_nothing(tmp_path: Path) -> None:
    saved = await new_database(tmp_path / "saved.db", *(f"key-{number}" for number in range(200)))
    live = await new_database(tmp_path / "live.db", "b")
    content = bytearray(saved.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    saved.write_bytes(content)
    before = files(tmp_path)
    with pytest.raises(ConfigError, match=r"damaged|malformed"):
        restore(saved, live, replace=True)
    assert keys_of(live) == ["b"]
    assert files(tmp_path) == before
