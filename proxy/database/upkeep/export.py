"""The rows of the ledger in the order of time, as CSV for spreadsheets or as lines of JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database.tables import LEDGER
from proxy.wire.spreadsheet import safe_cell

PAGE: Final = 2000  # rows that are read at once
COLUMNS: Final = tuple(LEDGER.c.keys())

_Row = dict[str, Any]
_encode: Final = msgspec.json.encode


async def exported(engine: AsyncEngine, begin: float, end: float, form: str) -> AsyncIterator[str]:
    """The text of a page of rows at a time; ``form`` is a name of ``FORMS``. Rows began in [``begin``, ``end``)."""
    head, encode = FORMS[form]
    yield head()
    async for page in pages(engine, begin, end):
        yield encode(page)


async def pages(engine: AsyncEngine, begin: float, end: float) -> AsyncIterator[list[_Row]]:
    """Each in a transaction of its own: an export may take long, and PostgreSQL cannot clean up meanwhile."""
    key = tuple_(LEDGER.c.at, LEDGER.c.id)
    rows = select(LEDGER).where(LEDGER.c.at < end).order_by(LEDGER.c.at, LEDGER.c.id).limit(PAGE)
    page = rows.where(LEDGER.c.at >= begin)
    async with engine.connect() as connection:
        while True:
            async with connection.begin():
                found = [row._asdict() for row in await connection.execute(page)]
            if found:
                yield found
            if len(found) < PAGE:
                return
            last = found[-1]
            # ``at`` alone too, since PostgreSQL chooses partitions by it.
            page = rows.where(LEDGER.c.at >= last["at"], key > tuple_(last["at"], last["id"]))


def _csv_head() -> str:
    return _table([COLUMNS])


def _csv(rows: Iterable[_Row]) -> str:
    return _table([_cell(row[name]) for name in COLUMNS] for row in rows)


def _table(lines: Iterable[Iterable[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue()


def _cell(value: object) -> object:
    """Unknown is empty."""
    if isinstance(value, str):
        return safe_cell(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _encode(value).decode() if isinstance(value, dict | list) else value


def _json_lines(rows: Iterable[_Row]) -> str:
    return "".join(f"{_encode({name: row[name] for name in COLUMNS}).decode()}\n" for row in rows)


FORMS: Final[Mapping[str, tuple[Callable[[], str], Callable[[Iterable[_Row]], str]]]] = {
    "csv": (_csv_head, _csv),
    "jsonl": (str, _json_lines),
}
