"""Compares what budgets spent, and what accounts have, with the rows and the transfers that they are sums of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final, Literal

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.database.columns import BALANCE_COUNTER, FUNDING, TOKENS, USAGE
from proxy.database.statements import insert_new
from proxy.database.tables import ACCOUNTS, BUDGET_SPEND
from proxy.database.upkeep.opened import alone, reading
from proxy.database.usage_query import DAY, HOUR

# Seconds after its last call that a sum is surely kept. The recorder deletes it later (``ledger/recorder/expiry.py``).
RUN_SECS: Final = 2 * DAY - HOUR
SUM_SECS: Final = 61 * DAY
LONGEST_CALL: Final = DAY  # seconds between the begin of a call, by which its row expires, and its transfer

Kind = Literal["counter", "account", "charge"]


class Mismatch(Struct, frozen=True):
    """A sum that is not that of its parts. ``kept``: what its table says; ``found``: what the parts make it.

    ``name``: key of a counter, id of an account, or of a row and its transfer. ``process``: of a counter.
    """

    kind: Kind
    name: str
    column: str
    kept: int
    found: int
    process: str = ""

    def __str__(self) -> str:
        if self.kind == "charge":
            return f"charge {self.name}: the account paid {self.kept} nano-USD, the row says {self.found}"
        if self.kind == "account":
            return f"account {self.name}: {self.column} is {self.kept}, the transfers make it {self.found}"
        what = f"budget counter {self.name} of process {self.process}"
        return f"{what}: {self.column} is {self.kept}, the rows make it {self.found}"


async def mismatches(engine: AsyncEngine, first: int, now: float) -> list[Mismatch]:
    """``first``: all rows are kept that began since then. Unix seconds."""
    async with reading(engine) as connection, connection.begin():
        return [
            *[each async for each in _of_counters(connection, now)],
            *[each async for each in _of_accounts(connection)],
            *[each async for each in _of_charges(connection, first)],
        ]


async def repair_sums(engine: AsyncEngine, found: Iterable[Mismatch]) -> int:
    """Add to the sums of counters and accounts what they lack. Returns how many figures were repaired.

    That is right also if others have added to them meanwhile. Charges stay: an operator has to post what corrects them.
    """
    sums = [each for each in found if each.kind != "charge"]
    for each in sums:
        async with alone(engine) as connection:
            await _add(connection, each)
    return len(sums)


async def _add(connection: AsyncConnection, each: Mismatch) -> None:
    if each.kind == "account":
        table, key = ACCOUNTS, {"id": each.name}
        new = {**key, "credits": 0, "charges": 0, "opened_at": 0.0}
    else:
        table, key = BUDGET_SPEND, {"counter": each.name, "process": each.process}
        new = {**key, "nano": 0, "tokens": 0, "last": 0.0}
    await insert_new(connection, table, new)
    column = table.c[each.column]
    change = table.update().values({column: column + (each.found - each.kept)})
    await connection.execute(change.where(*(table.c[name] == value for name, value in key.items())))


# -- counters and rows --------------------------------------------------------------------------------

_EACH: Final = {
    "sqlite": "json_each(ledger.counters) AS each",
    "postgresql": "json_array_elements_text(ledger.counters) AS each(value)",
}
_TOKENS: Final = " + ".join(f"coalesce({name}, 0)" for name in TOKENS)

# A process whose first row is kept has all its rows: they expire in the order of time. Of others the rows are only a
# part of the sum.
_COUNTERS: Final = f"""
    WITH found AS (
        SELECT each.value AS counter, substr(ledger.id, 1, 16) AS process,
               CAST(sum(coalesce(cost, 0)) AS BIGINT) AS nano, CAST(sum({_TOKENS}) AS BIGINT) AS tokens,
               min(at) AS first, max(at) AS last
        FROM ledger, {{each}} WHERE counters IS NOT NULL GROUP BY each.value, substr(ledger.id, 1, 16)
    ), whole AS (SELECT substr(id, 1, 16) AS process FROM ledger WHERE substr(id, 17) = '1')
    SELECT counter, process, kept.nano, kept.tokens, found.nano, found.tokens, found.first, found.last
    FROM found LEFT JOIN budget_spend AS kept USING (counter, process)
    WHERE kept.nano IS NULL OR kept.nano < found.nano OR kept.tokens < found.tokens
          OR (process IN (SELECT process FROM whole) AND (kept.nano > found.nano OR kept.tokens > found.tokens))
    UNION ALL
    SELECT counter, process, kept.nano, kept.tokens, 0, 0, kept.last, kept.last
    FROM budget_spend AS kept LEFT JOIN found USING (counter, process)
    WHERE found.nano IS NULL AND process IN (SELECT process FROM whole) AND (kept.nano <> 0 OR kept.tokens <> 0)
"""


async def _of_counters(connection: AsyncConnection, now: float) -> AsyncIterator[Mismatch]:
    statement = _COUNTERS.format(each=_EACH[connection.dialect.name])
    for counter, process, *figures, first, last in await connection.execute(text(statement)):
        is_run = counter.split("/")[1] == "run"
        if is_run and first < now - RUN_SECS:  # deleted, and perhaps begun anew
            continue
        if figures[0] is None and last < now - SUM_SECS:
            continue
        for column, kept, found in _pairs(("nano", "tokens"), figures):
            yield Mismatch("counter", counter, column, kept, found, process)


# -- accounts and transfers ---------------------------------------------------------------------------

_ACCOUNTS: Final = """
    WITH found AS (
        SELECT id, CAST(sum(credits) AS BIGINT) AS credits, CAST(sum(charges) AS BIGINT) AS charges FROM (
            SELECT debit AS id, CASE WHEN credit = :usage THEN 0 ELSE -amount END AS credits,
                   CASE WHEN credit = :usage THEN amount ELSE 0 END AS charges
            FROM transfers WHERE debit <> :funding
            UNION ALL SELECT credit, amount, 0 FROM transfers WHERE credit NOT IN (:usage, :funding)
        ) AS sides GROUP BY id
    )
    SELECT id, kept.credits, kept.charges, found.credits, found.charges
    FROM found LEFT JOIN accounts AS kept USING (id)
    WHERE kept.credits IS NULL OR kept.credits <> found.credits OR kept.charges <> found.charges
    UNION ALL
    SELECT id, kept.credits, kept.charges, 0, 0
    FROM accounts AS kept LEFT JOIN found USING (id)
    WHERE found.credits IS NULL AND (kept.credits <> 0 OR kept.charges <> 0)
"""


async def _of_accounts(connection: AsyncConnection) -> AsyncIterator[Mismatch]:
    """Every transfer takes from one account what another one gets. So if none differs, all together are 0."""
    parameters = {"usage": USAGE, "funding": FUNDING}
    for account, *figures in await connection.execute(text(_ACCOUNTS), parameters):
        for column, kept, found in _pairs(("credits", "charges"), figures):
            yield Mismatch("account", account, column, kept, found)


# -- charges and rows ---------------------------------------------------------------------------------

_CHARGES: Final = """
    WITH billed AS (
        SELECT ledger.id AS id, substr(each.value, :start) AS account, cost
        FROM ledger, {each} WHERE counters IS NOT NULL AND cost > 0 AND substr(each.value, 1, :start - 1) = :balance
    )
    SELECT billed.id, coalesce(amount, 0), cost
    FROM billed LEFT JOIN transfers ON transfers.id = billed.id
    WHERE account <> '' AND substr(account, 1, 1) <> :colon
          AND (amount IS NULL OR amount <> cost OR debit <> account)
    UNION ALL
    SELECT transfers.id, amount, 0 FROM transfers LEFT JOIN billed ON billed.id = transfers.id
    WHERE credit = :usage AND transfers.at >= :since AND billed.id IS NULL
"""


async def _of_charges(connection: AsyncConnection, first: int) -> AsyncIterator[Mismatch]:
    statement = _CHARGES.format(each=_EACH[connection.dialect.name])
    parameters = {
        "balance": BALANCE_COUNTER,
        "start": len(BALANCE_COUNTER) + 1,
        "usage": USAGE,
        "colon": ":",
        "since": float(first + LONGEST_CALL),
    }
    for row, kept, found in await connection.execute(text(statement), parameters):
        yield Mismatch("charge", row, "amount", kept, found)


def _pairs(columns: tuple[str, str], figures: list[Any]) -> Iterator[tuple[str, int, int]]:
    """The columns that differ. ``figures``: both as they are kept, ``None`` without a row, then both as found."""
    for column, kept, found in zip(columns, figures[:2], figures[2:], strict=True):
        if (kept or 0) != found:
            yield column, kept or 0, found
