"""``sluice db`` and ``sluice paths`` as processes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.database.databases import NEWEST
from tests.support.command_line import Sluice, sluice_in

PASSWORD = "a-well-kept-password"


@pytest.fixture
def sluice(tmp_path: Path) -> Sluice:
    return sluice_in(tmp_path)


def test_a_backup_is_restored_to_a_new_database(sluice: Sluice, tmp_path: Path) -> None:
    assert sluice("db", "upgrade").returncode == 0
    done = sluice("db", "backup", "saved.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "database: data/sluice.db copied to saved.db (0 keys)\n"
    (tmp_path / "data" / "sluice.db").unlink()
    done = sluice("db", "restore", "saved.db")
    assert (done.returncode, done.stdout) == (0, "database: saved.db restored to data/sluice.db\n")
    with closing(sqlite3.connect(tmp_path / "data" / "sluice.db")) as connection:
        assert connection.execute("SELECT version_num FROM sluice_revision").fetchall() == [(NEWEST,)]
    assert sluice("db", "upgrade").stdout == f"database: up to date at {NEWEST}\n"


@pytest.mark.parametrize("step", ["backup", "restore"])
def test_a_copy_of_postgresql_names_the_command_of_postgresql(step: str, sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"database: {{url: 'postgresql://me:{PASSWORD}@host/keys'}}\n")
    done = sluice("db", step, "--config", "c.yaml", "saved.db")
    assert done.returncode == 1
    assert "postgresql://host/keys is no SQLite file; use `sluice db run pg_" in done.stderr
    assert PASSWORD not in done.stderr


def test_run_gives_the_database_to_a_command_in_its_environment(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"database: {{url: 'postgresql://me:{PASSWORD}@host:5433/keys'}}\n")
    script = 'echo "$PGUSER $PGHOST $PGPORT $PGDATABASE $PGPASSWORD"; exit 7'
    done = sluice("db", "run", "--config", "c.yaml", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (7, f"me host 5433 keys {PASSWORD}\n")


@pytest.mark.parametrize(
    ("url", "words", "why"),
    [
        ("", ["psql"], "is not that of a PostgreSQL database"),
        ("postgresql://host/keys", [], "expected a command"),
        ("postgresql://host/keys", ["no-such-command"], "cannot run no-such-command: No such file"),
    ],
)
def test_run_says_what_is_wrong(url: str, words: list[str], why: str, sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"database: {{url: '{url}'}}\n")
    done = sluice("db", "run", "--config", "c.yaml", *words)
    assert done.returncode == 1
    assert why in done.stderr
