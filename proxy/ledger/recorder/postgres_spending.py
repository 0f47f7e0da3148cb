"""What rows spent, in PostgreSQL. Each function is part of a transaction.

Rows are locked in the order of their keys, as an INSERT takes them in the order of its arrays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from proxy.database.columns import FUNDING, OPENING, USAGE
from proxy.ledger.recorder import spending
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.row import Row

_SPEND: Final = (
    "INSERT INTO budget_spend (counter, process, nano, tokens, last)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::int8[], $4::int8[], $5::float8[])"
    " ON CONFLICT (counter, process) DO UPDATE SET nano = budget_spend.nano + excluded.nano,"
    " tokens = budget_spend.tokens + excluded.tokens, last = greatest(budget_spend.last, excluded.last)"
)
_CHARGES: Final = (
    "INSERT INTO transfers (id, at, debit, credit, amount, description, request_id, usd_rate)"
    f" SELECT id, at, account, '{USAGE}', amount, description, request_id, usd_rate"
    " FROM unnest($1::text[], $2::float8[], $3::text[], $4::int8[], $5::text[], $6::text[], $7::float8[])"
    " AS charge(id, at, account, amount, description, request_id, usd_rate)"
    " ON CONFLICT (id) DO NOTHING RETURNING id"
)
_KNOWN: Final = "SELECT id FROM transfers WHERE id = ANY($1::text[])"
# Without ON CONFLICT: an id that another recorder has inserted since, for another time, fails the batch.
_NUMBERED: Final = (
    f"INSERT INTO transfers ({', '.join(spending.COLUMNS['transfers'])}) SELECT * FROM unnest($1::text[],"
    " $2::float8[], $3::text[], $4::text[], $5::int8[], $6::text[], $7::text[], $8::float8[], $9::int8[], $10::int8[])"
)
_CHARGE: Final = (
    "INSERT INTO accounts (id, credits, charges, opened_at)"
    " SELECT id, $4, amount, first FROM unnest($1::text[], $2::int8[], $3::float8[]) AS charged(id, amount, first)"
    " ON CONFLICT (id) DO UPDATE SET charges = accounts.charges + excluded.charges"
    " RETURNING CASE WHEN xmax = 0 THEN id END"  # of a new row
)
_CHARGE_NUMBERED: Final = (
    "INSERT INTO accounts (id, credits, charges, opened_at, sequence)"
    " SELECT id, $5::int8, amount, first, number + ($5 > 0)::int"
    " FROM unnest($1::text[], $2::int8[], $3::float8[], $4::int8[]) AS charged(id, amount, first, number)"
    " ON CONFLICT (id) DO UPDATE SET charges = accounts.charges + excluded.charges,"
    " sequence = accounts.sequence + excluded.sequence - ($5 > 0)::int"
    " RETURNING CASE WHEN xmax = 0 THEN id END, id, credits, charges, sequence"
)
_OPENING: Final = (
    "INSERT INTO transfers (id, at, debit, credit, amount, description, request_id)"
    f" VALUES ($1, $2, '{FUNDING}', $3, $4, '{OPENING}', '')"
)

_EXPIRE: Final = (
    "DELETE FROM budget_spend WHERE (counter, process) IN"
    " (SELECT counter, process FROM budget_spend WHERE last < $1 AND split_part(counter, '/', 2) {} LIMIT $2)"
)
_EXPIRE_RUNS: Final = _EXPIRE.format("= 'run'")
_EXPIRE_WINDOWS: Final = _EXPIRE.format("<> 'total'")
_EXPIRE_ANSWERS: Final = "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE at < $1 LIMIT $2)"
_TAKE_ENDED: Final = _EXPIRE.format("= 'total' AND process <> ''") + " RETURNING counter, '', nano, tokens, last"


async def add(
    connection: Any, rows: Sequence[Row], default_balance: int, *, numbered: bool = False
) -> list[spending.AccountTransfer]:
    """Add rows that were inserted to the counters and accounts that they name.

    ``numbered``: number the transfers, and return them; else ``[]``.
    """
    if not any(row.counters for row in rows):
        return []
    await connection.execute(_SPEND, *_columns(spending.spends(rows)))
    charges = spending.charges(rows)
    if not charges:
        return []
    if numbered:
        return await _charge_numbered(connection, charges, default_balance)
    ids = {id for (id,) in await connection.fetch(_CHARGES, *_columns(charges))}  # noqa: A001 - the column's name
    new = [each for each in charges if each.id in ids]
    if not new:
        return []
    sums = spending.by_account(new)
    charged = await connection.fetch(_CHARGE, *_columns(sums), default_balance)
    for each in _openings(sums, charged, default_balance):
        await connection.execute(_OPENING, each.id, each.at, each.account, each.amount)
    return []


async def _charge_numbered(
    connection: Any, charges: Sequence[spending.AccountCharge], default_balance: int
) -> list[spending.AccountTransfer]:
    """Returns the transfers, which are the charges that are new and the opening balances.

    The account, which is locked from then on, tells their numbers, so that each is inserted with its own.
    """
    known = {id for (id,) in await connection.fetch(_KNOWN, [each.id for each in charges])}  # noqa: A001
    new = spending.not_among(known, charges)
    if not new:
        return []
    sums, numbers = spending.by_account(new), Counter(each.account for each in new)
    columns = _columns((*each, numbers[each[0]]) for each in sums)
    charged = await connection.fetch(_CHARGE_NUMBERED, *columns, default_balance)
    transfers = _openings(sums, charged, default_balance)
    transfers += spending.numbered(new, [spending.AccountState(*[*each][1:]) for each in charged])
    await connection.execute(_NUMBERED, *_columns(map(spending.columns_of, transfers)))
    return transfers


def _openings(
    sums: Sequence[tuple[str, int, float]], charged: Sequence[Any], default_balance: int
) -> list[spending.AccountTransfer]:
    """The transfers that new accounts begin with. ``charged``: the id of each new account comes first in its row."""
    opened = {each[0] for each in charged} if default_balance else ()
    return [spending.opening(account, first, default_balance) for account, _, first in sums if account in opened]


async def expire(connection: Any, before: Expiry, most: int) -> bool:
    """Delete, or sum up, some of what is old, at most ``most`` rows of a kind. Returns whether there may be more."""
    for statement, moment in (
        (_EXPIRE_RUNS, before.runs),
        (_EXPIRE_WINDOWS, before.windows),
        (_EXPIRE_ANSWERS, before.answers),
    ):
        if await connection.execute(statement, moment, most) == f"DELETE {most}":
            return True
    ended = [tuple(row) for row in await connection.fetch(_TAKE_ENDED, before.processes, most)]
    if ended:
        await connection.execute(_SPEND, *_columns(spending.merged(ended)))
    return len(ended) == most


def _columns(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [*zip(*rows, strict=True)]
