"""Transfers: a debit account, a credit account, and an amount above 0, so that all accounts together are always 0."""

from __future__ import annotations

import secrets

from msgspec import Struct
from sqlalchemy import ColumnElement, Subquery, insert, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.columns import FUNDING
from proxy.database.tables import LISTED_CREDIT, TRANSFERS

_ROW = TRANSFERS.c


class Transaction(Struct, frozen=True):
    """A transfer as one of its accounts sees it. ``amount`` (nano-USD) is negative if it lowers the balance.

    ``at``: Unix seconds; of a charge, when the call ended. ``request_id``: of the call, or ``""``. ``usd_rate``: units
    of the currency for one USD, if that is not USD.
    """

    id: str
    at: float
    amount: int
    description: str
    request_id: str = ""
    usd_rate: float | None = None


def new_id() -> str:
    return secrets.token_hex(16)


async def fund(connection: AsyncConnection, account: str, transaction: Transaction, number: int, balance: int) -> None:
    """Insert the transfer to the account from the gateway's own one, or back if the amount is negative; not 0.

    ``number`` (0: it has none, as no event tells it) and ``balance``: of the account with it.
    """
    amount = transaction.amount
    debit, credit = (FUNDING, account) if amount > 0 else (account, FUNDING)
    values = {
        "id": transaction.id,
        "at": transaction.at,
        "debit": debit,
        "credit": credit,
        "amount": abs(amount),
        "description": transaction.description,
        "request_id": transaction.request_id,
        "usd_rate": transaction.usd_rate,
        "sequence": number or None,
        "balance": balance if number else None,
    }
    await connection.execute(insert(TRANSFERS).values(values))


async def newest(connection: AsyncConnection, account: str, limit: int, offset: int) -> list[Transaction]:
    """At most ``limit`` transactions of an account after the ``offset`` newest, newest first."""
    most = limit + offset
    debits = _side(-_ROW.amount, most, _ROW.debit == account)
    deposits = _side(_ROW.amount, most, _ROW.credit == account, LISTED_CREDIT)
    both = union_all(select(debits), select(deposits)).subquery()
    found = select(both).order_by(both.c.at.desc(), both.c.id.desc()).limit(limit).offset(offset)
    return [Transaction(*row) for row in await connection.execute(found)]


def _side(amount: ColumnElement[int], most: int, *conditions: ColumnElement[bool]) -> Subquery:
    """The newest of one side, which an index has in this order."""
    columns = (_ROW.id, _ROW.at, amount.label("amount"), _ROW.description, _ROW.request_id, _ROW.usd_rate)
    return select(*columns).where(*conditions).order_by(_ROW.at.desc(), _ROW.id.desc()).limit(most).subquery()
