"""What rows spent, in a SQLite file. Each function is part of a transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from proxy.database.columns import FUNDING, OPENING, USAGE
from proxy.ledger.recorder import spending
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.row import Row

_SPEND: Final = (
    "INSERT INTO budget_spend (counter, process, nano, tokens, last) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (counter, process) DO UPDATE SET"
    " nano = nano + excluded.nano, tokens = tokens + excluded.tokens, last = max(last, excluded.last)"
)
_TRANSFER: Final = (
    "INSERT INTO transfers (id, at, debit, credit, amount, description, request_id, usd_rate)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_KNOWN: Final = "SELECT id FROM transfers WHERE id IN (SELECT value FROM json_each(?))"
_NUMBERED: Final = (
    f"INSERT INTO transfers ({', '.join(spending.COLUMNS['transfers'])})"
    f" VALUES ({', '.join('?' * len(spending.COLUMNS['transfers']))})"
)
_OPEN: Final = "INSERT INTO accounts (id, credits, charges, opened_at, sequence) VALUES (?, ?, ?, ?, ?)"
_CHARGE: Final = "UPDATE accounts SET charges = charges + ? WHERE id = ?"
_CHARGE_NUMBERED: Final = (
    "UPDATE accounts SET charges = charges + ?, sequence = sequence + ? WHERE id = ?"
    f" RETURNING {', '.join(spending.AccountState._fields[1:])}"
)

_EXPIRE: Final = (
    "DELETE FROM budget_spend WHERE (counter, process) IN (SELECT counter, process FROM budget_spend"
    " WHERE last < ? AND substr(counter, instr(counter, '/') + 1) {} LIMIT ?)"
)
_EXPIRE_RUNS: Final = _EXPIRE.format("LIKE 'run/%'")
_EXPIRE_WINDOWS: Final = _EXPIRE.format("NOT LIKE 'total/%'")
_TAKE_ENDED: Final = _EXPIRE.format("LIKE 'total/%' AND process <> ''") + " RETURNING counter, '', nano, tokens, last"
_EXPIRE_ANSWERS: Final = "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE at < ? LIMIT ?)"


def add(
    cursor: sqlite3.Cursor, rows: Sequence[Row], default_balance: int, *, numbered: bool = False
) -> list[spending.AccountTransfer]:
    """Add rows that were inserted to the counters and accounts that they name.

    ``numbered``: number the transfers, and return them; else ``[]``.
    """
    if not any(row.counters for row in rows):
        return []
    cursor.executemany(_SPEND, spending.spends(rows))
    charges = spending.charges(rows)
    if numbered:
        return _charge_numbered(cursor, charges, default_balance) if charges else []
    new = [each for each in charges if _charge(cursor, each)]
    for account, amount, first in spending.by_account(new):
        if not cursor.execute(_CHARGE, (amount, account)).rowcount:
            cursor.execute(_OPEN, (account, default_balance, amount, first, 0))
            if default_balance:
                made = spending.opening(account, first, default_balance)
                _transfer(cursor, made.id, first, FUNDING, account, default_balance, OPENING, "", None)
    return []


def _charge_numbered(
    cursor: sqlite3.Cursor, charges: Sequence[spending.AccountCharge], default_balance: int
) -> list[spending.AccountTransfer]:
    """Returns the transfers, which are the charges that are new and the opening balances.

    The account tells their numbers, so that each is inserted with its own.
    """
    known = {id for (id,) in cursor.execute(_KNOWN, (json.dumps([each.id for each in charges]),))}  # noqa: A001
    new = spending.not_among(known, charges)
    numbers = Counter(each.account for each in new)
    transfers, states = [], []
    for account, amount, first in spending.by_account(new):
        state = cursor.execute(_CHARGE_NUMBERED, (amount, numbers[account], account)).fetchone()
        if state is None:
            state = default_balance, amount, numbers[account] + (default_balance > 0)
            cursor.execute(_OPEN, (account, *state[:2], first, state[2]))
            if default_balance:
                transfers.append(spending.opening(account, first, default_balance))
        states.append(spending.AccountState(account, *state))
    transfers += spending.numbered(new, states)
    cursor.executemany(_NUMBERED, map(spending.columns_of, transfers))
    return transfers


def expire(cursor: sqlite3.Cursor, before: Expiry, most: int) -> bool:
    """Delete, or sum up, some of what is old, at most ``most`` rows of a kind. Returns whether there may be more."""
    for statement, moment in (
        (_EXPIRE_RUNS, before.runs),
        (_EXPIRE_WINDOWS, before.windows),
        (_EXPIRE_ANSWERS, before.answers),
    ):
        if cursor.execute(statement, (moment, most)).rowcount == most:
            return True
    ended = cursor.execute(_TAKE_ENDED, (before.processes, most)).fetchall()
    cursor.executemany(_SPEND, ended)
    return len(ended) == most


def _charge(cursor: sqlite3.Cursor, charge: spending.AccountCharge) -> bool:
    """Returns whether its transfer was inserted."""
    id, at, account, *rest = charge  # noqa: A001 - the column's name
    return _transfer(cursor, id, at, account, USAGE, *rest)


def _transfer(cursor: sqlite3.Cursor, *values: Any) -> bool:
    """Returns whether it was inserted."""
    return cursor.execute(_TRANSFER, values).rowcount == 1
