"""``sluice ledger``, within this process."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.__main__ import main
from tests.database.upkeep.ledgers import attempt
from tests.ledger.store import put

ROWS = [attempt(number, time.time() - 7200 + number, owner="alice") for number in range(3)]


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Sluice = Callable[..., Done]


@pytest.fixture
def sluice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sluice:
    """Runs a command in the folder of the test, without this process's environment."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Done:
        with monkeypatch.context() as patch:
            patch.setattr("os.environ", {})
            try:
                status = main(words)
            except SystemExit as wrong:
                status = int(wrong.code or 0)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    file = tmp_path / "data" / "sluice.db"
    await put(f"sqlite:///{file}", ROWS)
    return file


def test_verify_tells_each_difference_and_repair_ends_them(sluice: Sluice, database: Path) -> None:
    done = sluice("ledger", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"ledger: \S+Z to \S+Z: all sums by hour, budgets and accounts are right\n", done.stdout)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE ledger_hours SET cost = cost + 5, attempts = attempts + 1")
    done = sluice("ledger", "verify")
    assert done.returncode == 1
    *figures, end = done.stdout.splitlines()
    assert len(figures) == 2 * len({row.at // 3600 for row in ROWS})
    assert re.fullmatch(r"\S+Z model=m provider=p .*owner=alice: attempts is \d, the rows make it \d", figures[0])
    assert "figures differ" in end
    done = sluice("ledger", "verify", "--repair")
    assert done.returncode == 0
    assert "written anew from the rows" in done.stdout
    assert sluice("ledger", "verify").returncode == 0


def test_repair_writes_the_sums_of_labels_of_rows_that_are_older(sluice: Sluice, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM ledger_labels")
        connection.execute("INSERT INTO ledger_labels_begin VALUES (?)", (int(time.time() + 7200) // 3600 * 3600,))
    done = sluice("ledger", "verify")
    assert done.returncode == 0
    assert re.search(
        r"all sums by hour, budgets and accounts are right\nledger: [34] hours .* have no sums by run and label; --repair",
        done.stdout,
    )
    done = sluice("ledger", "verify", "--repair")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"the sums by run and label of [34] hours were written", done.stdout)
    done = sluice("ledger", "verify")
    assert re.fullmatch(r"ledger: \S+Z to \S+Z: all sums by hour, budgets and accounts are right\n", done.stdout)


def test_repair_ends_wrong_balances_but_changes_no_charge(sluice: Sluice, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO accounts (id, credits, charges, opened_at) VALUES ('alice', 5, 0, 0)")
    done = sluice("ledger", "verify")
    assert done.returncode == 1
    assert done.stdout.startswith("account alice: credits is 5, the transfers make it 0\n")
    assert "1 figure differs" in done.stdout
    done = sluice("ledger", "verify", "--repair")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "ledger: 1 figure of budgets and accounts repaired",
    )
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE ledger SET counters = '[\"balance/total/alice\"]' WHERE id = 'n2'")
    assert sluice("ledger", "verify", "--repair").returncode == 1
    done = sluice("ledger", "verify")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        1,
        "charge n2: the account paid 0 nano-USD, the row says 2",
    )


def test_export_prints_the_rows_of_the_period(sluice: Sluice, database: Path) -> None:
    done = sluice("ledger", "export", "--format", "jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["n0", "n1", "n2"]
    assert len(sluice("ledger", "export", "--from", "2020-01-01", "--to", "2020-02-01").stdout.splitlines()) == 1


def test_forget_prints_the_pseudonym_and_takes_it_again(sluice: Sluice, database: Path) -> None:
    done = sluice("ledger", "forget", "alice")
    assert (done.returncode, done.stderr) == (0, "")
    found = re.match(
        r"ledger: alice becomes (gone-[0-9a-f]{16})\nledger: 3 rows and 0 sums without rows changed\n", done.stdout
    )
    assert found
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT DISTINCT owner FROM ledger").fetchall() == [(found[1],)]
    done = sluice("ledger", "forget", "alice", "--as", found[1])
    assert f"alice becomes {found[1]}\nledger: 0 rows" in done.stdout


def test_a_ledger_that_cannot_be_read_is_told(sluice: Sluice, tmp_path: Path) -> None:
    done = sluice("ledger", "verify")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "ledger: there is none, as data/sluice.db does not exist\n"
    (tmp_path / "c.yaml").write_text("database: {enabled: false}\n")
    done = sluice("ledger", "export", "--config", "c.yaml")
    assert (done.returncode, done.stderr) == (1, "ledger: there is none, as database.enabled is false\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sluice.db").touch()
    assert "not up to date; run `sluice db upgrade`" in sluice("ledger", "forget", "alice").stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["export", "--from", "yesterday"], "expected a date"),
        (["export", "--from", "2026-11-29T12:00:00"], "has no time zone"),
        (["export", "--format", "xml"], "invalid choice"),
        (["forget", ""], "expected the name of an owner"),
        (["forget", "alice", "--as", "bob"], "expected gone-"),
        ([], "verify | export | forget"),
    ],
)
def test_wrong_words_are_told(words: list[str], why: str, sluice: Sluice) -> None:
    done = sluice("ledger", *words)
    assert done.returncode == 2
    assert why in done.stderr


def test_consume_says_what_is_missing(sluice: Sluice, tmp_path: Path) -> None:
    done = sluice("ledger", "consume", "--once")
    assert (done.returncode, done.stderr) == (
        1,
        "ledger consume: events.url is missing, the broker that has the rows\n",
    )
    (tmp_path / "c.yaml").write_text(
        "database: {enabled: false}\nledger: {mode: events}\nevents: {url: 'amqp://127.0.0.1:9/'}\n"
    )
    done = sluice("ledger", "consume", "--config", "c.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "ledger consume: database.enabled is false, but the rows go into a database\n"


def test_where_the_ledger_is_elsewhere_the_commands_say_so(sluice: Sluice, database: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("ledger: {mode: events}\nevents: {url: 'amqp://127.0.0.1:9/'}\n")
    done = sluice("ledger", "verify", "--config", "c.yaml")
    assert done.returncode == 0
    assert done.stderr == (
        "ledger: ledger.mode is events, so this database has only rows that `sluice ledger consume` writes into it\n"
    )
