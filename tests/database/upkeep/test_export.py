"""Exported rows, over both databases."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from msgspec import structs

from proxy.database.upkeep import export
from proxy.database.upkeep.export import COLUMNS, exported
from proxy.ledger import row as ledger_row
from tests.database.databases import KINDS
from tests.database.upkeep.ledgers import NOW, attempt, ledger

# Two of the same moment, where a page ends.
ROWS = [attempt(number, NOW - 100.25 + number // 2, cost=None if number % 3 else number) for number in range(10)]


async def text_of(kind: str, folder: Path, form: str, begin: float = 0.0, end: float = 1e12) -> str:
    async with ledger(kind, folder, ROWS) as (_, engine):
        return "".join([page async for page in exported(engine, begin, end, form)])


def test_the_columns_are_those_of_a_row() -> None:
    assert {*COLUMNS} == {*ledger_row.COLUMNS}


@pytest.mark.parametrize("kind", KINDS)
async def test_lines_of_json_hold_every_row_once_in_order(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 3)
    lines = (await text_of(kind, tmp_path, "jsonl")).splitlines()
    assert [json.loads(line) for line in lines] == [structs.asdict(row) for row in ROWS]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_period_has_its_begin_and_not_its_end(kind: str, tmp_path: Path) -> None:
    lines = (await text_of(kind, tmp_path, "jsonl", ROWS[2].at, ROWS[6].at)).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["n2", "n3", "n4", "n5"]


async def test_cells_of_csv_are_no_formulas_and_unknown_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 4)
    formula = attempt(1, NOW, model='=HYPERLINK("http://x")', client="@a", run="line\r\nline", cost=None)
    formula.counters = ["daily/2026-11-29/o"]
    monkeypatch.setitem(globals(), "ROWS", [formula])
    table = [*csv.reader(io.StringIO(await text_of("sqlite", tmp_path, "csv"), newline=""))]
    assert tuple(table[0]) == COLUMNS
    [cells] = [dict(zip(COLUMNS, line, strict=True)) for line in table[1:]]
    assert (cells["model"], cells["client"]) == ('\'=HYPERLINK("http://x")', "'@a")
    assert (cells["run"], cells["cost"], cells["labels"]) == ("line\r\nline", "", '{"a":"b"}')
    assert cells["counters"] == '["daily/2026-11-29/o"]'
    assert (float(cells["at"]), cells["stream"], cells["answered"]) == (NOW, "true", "false")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_an_empty_ledger_has_at_most_a_head(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROWS", [])
    assert len((await text_of("sqlite", tmp_path, form)).splitlines()) == (form == "csv")
