"""Puts a pseudonym in the place of an owner in budget counters, accounts and transfers. Amounts stay.

Each function is part of a transaction, after which all sums are right.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Row, bindparam, case, delete, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.columns import TOKENS, USAGE
from proxy.database.statements import insert_new
from proxy.database.tables import ACCOUNTS, BUDGET_SPEND, IDEMPOTENCY, LEDGER, LISTED_CREDIT, TRANSFERS
from proxy.identity import run_prefix

NONCE_BYTES: Final = 16  # with which the id of a row begins: its process

_SHARED: Final = ("team", "project", "model", "provider")  # names of a row that are not the owner's alone


class _Move(NamedTuple):
    """Of sums from one counter of a process to another one."""

    process: str
    old: str
    new: str


# -- counters -----------------------------------------------------------------------------------------


async def forget_counters(connection: AsyncConnection, batch: ColumnElement[bool], owner: str, pseudonym: str) -> None:
    """Rename the counters of rows, with their share of the sums, and the owner in the charges of these rows.

    Counters are renamed that are of the owner, its client, keys, runs or labels.
    """
    row = LEDGER.c
    tokens = sum((func.coalesce(row[name], 0) for name in TOKENS), literal(0)).label("tokens")
    names = ("at", "id", "counters", "cost", "client", "key", "run", "labels", *_SHARED)
    found = select(*(row[name] for name in names), tokens).where(batch, row.counters.is_not(None))
    changed: list[dict[str, Any]] = []
    nano, counted = Counter[_Move](), Counter[_Move]()
    for each in [*await connection.execute(found)]:
        keys = _renamed(each, owner, pseudonym)
        if keys != each.counters:
            changed.append({"of_at": each.at, "of_id": each.id, "keys": keys})
            for move in (_Move(each.id[:NONCE_BYTES], *pair) for pair in zip(each.counters, keys, strict=True)):
                nano[move] += each.cost or 0
                counted[move] += each.tokens
    if not changed:
        return
    key = (row.at == bindparam("of_at"), row.id == bindparam("of_id"))
    await connection.execute(
        update(LEDGER).where(*key).values(counters=bindparam("keys", type_=row.counters.type)), changed
    )
    for move in nano:
        if move.old != move.new:
            await _move(connection, move, nano[move], counted[move])
    await _forget_transfers(connection, owner, pseudonym, TRANSFERS.c.id.in_([each["of_id"] for each in changed]))


def _renamed(row: Row[Any], owner: str, pseudonym: str) -> list[str]:
    personal = {owner, row.client, row.key, row.run, *row.labels.values()} - {row._mapping[name] for name in _SHARED}
    found = []
    for key in row.counters:
        budget, window, subject = key.split("/", 2)
        if window == "run":  # the subject begins with the owner
            found.append(_forgotten_run(budget, pseudonym))
        else:
            found.append(f"{budget}/{window}/{pseudonym if subject and subject in personal else subject}")
    return found


def _forgotten_run(budget: str, pseudonym: str) -> str:
    """The key of the counter of all runs of an owner."""
    return f"{budget}/run/{pseudonym}/"


async def _move(connection: AsyncConnection, move: _Move, nano: int, tokens: int) -> None:
    """Sums that are gone, since their window is over, are not made again."""
    spend = BUDGET_SPEND.c
    old = (spend.counter == move.old, spend.process == move.process)
    less = update(BUDGET_SPEND).where(*old, spend.nano >= nano, spend.tokens >= tokens)
    less = less.values(nano=spend.nano - nano, tokens=spend.tokens - tokens).returning(spend.last)
    last = (await connection.execute(less)).scalar_one_or_none()
    if last is not None:
        await connection.execute(delete(BUDGET_SPEND).where(*old, spend.nano == 0, spend.tokens == 0))
        await _add_spend(connection, move.new, move.process, nano, tokens, last)


async def _add_spend(
    connection: AsyncConnection, counter: str, process: str, nano: int, tokens: int, last: float
) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = insert(BUDGET_SPEND).values(counter=counter, process=process, nano=nano, tokens=tokens, last=last)
    spend, more = BUDGET_SPEND.c, new.excluded
    added = {
        "nano": spend.nano + more.nano,
        "tokens": spend.tokens + more.tokens,
        "last": case((spend.last > more.last, spend.last), else_=more.last),
    }
    await connection.execute(new.on_conflict_do_update(index_elements=["counter", "process"], set_=added))


async def forget_spend(connection: AsyncConnection, owner: str, pseudonym: str, most: int) -> int:
    """Rename some of the owner's counters that have no rows any more. Returns how many."""
    spend = BUDGET_SPEND.c
    place = func.strpos if connection.dialect.name == "postgresql" else func.instr
    window = func.substr(spend.counter, place(spend.counter, "/") + 1)
    subject = func.substr(window, place(window, "/") + 1)
    runs = f"run/{run_prefix(owner)}"
    is_own = or_(subject == owner, func.substr(window, 1, len(runs)) == runs)
    gone = delete(BUDGET_SPEND).where(spend.counter.in_(select(spend.counter).where(is_own).limit(most)))
    found = [*await connection.execute(gone.returning(BUDGET_SPEND))]
    for counter, *sums in found:
        budget, after = counter.split("/", 1)
        is_run = after.startswith(runs)
        renamed = _forgotten_run(budget, pseudonym) if is_run else f"{counter.removesuffix(owner)}{pseudonym}"
        await _add_spend(connection, renamed, *sums)
    return len(found)


# -- accounts -----------------------------------------------------------------------------------------


async def forget_account(connection: AsyncConnection, owner: str, pseudonym: str, most: int) -> int:
    """Rename the owner in some transfers; when none is left, remove its account. Returns how many transfers."""
    row = TRANSFERS.c
    debits = select(row.id).where(row.debit == owner).limit(most)
    deposits = select(row.id).where(row.credit == owner, LISTED_CREDIT).limit(most)
    for some in (debits, deposits):
        ids = [*(await connection.execute(some)).scalars()]
        if ids:
            await _forget_transfers(connection, owner, pseudonym, row.id.in_(ids))
            return len(ids)
    await connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.account == owner))
    await connection.execute(delete(ACCOUNTS).where(ACCOUNTS.c.id == owner))
    return 0


async def _forget_transfers(connection: AsyncConnection, owner: str, pseudonym: str, some: ColumnElement[bool]) -> None:
    """Rename the owner in transfers, with their share of the account."""
    row, total = TRANSFERS.c, func.coalesce(func.sum(TRANSFERS.c.amount), 0)
    charged = select(total).where(some, row.debit == owner, row.credit == USAGE)
    taken = select(total).where(some, row.debit == owner, row.credit != USAGE)
    given = select(total).where(some, row.credit == owner)
    charges, less, more = [int((await connection.execute(each)).scalar_one()) for each in (charged, taken, given)]
    if charges or less or more:
        await connection.execute(update(TRANSFERS).where(some, row.debit == owner).values(debit=pseudonym))
        await connection.execute(update(TRANSFERS).where(some, row.credit == owner).values(credit=pseudonym))
        account = ACCOUNTS.c
        opened = (await connection.execute(select(account.opened_at).where(account.id == owner))).scalar_one_or_none()
        new = {"id": pseudonym, "credits": 0, "charges": 0, "opened_at": opened or 0.0}
        await insert_new(connection, ACCOUNTS, new)
        for name, sign in ((owner, -1), (pseudonym, 1)):
            sums = {"credits": account.credits + sign * (more - less), "charges": account.charges + sign * charges}
            await connection.execute(update(ACCOUNTS).where(account.id == name).values(sums))
