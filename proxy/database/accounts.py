"""Accounts: what was credited to an owner, and what its calls cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database import transfers
from proxy.database.columns import OPENING
from proxy.database.engine import Engine
from proxy.database.outbox import OutboxRow, add_rows
from proxy.database.statements import insert_new, is_storable
from proxy.database.tables import ACCOUNTS, IDEMPOTENCY, Now
from proxy.database.transfers import Transaction

MOST_AMOUNT: Final = 10**15
"""Of one transfer, in nano-USD: a million dollars, which a JSON number has exactly."""
MOST_CREDITS: Final = 10**18
"""Of an account, in nano-USD, so that its sums fit into their columns."""

_ROW = ACCOUNTS.c


TransferRows = Callable[[str, Transaction, int, int], Sequence[OutboxRow]]
"""Rows of the outbox for a transfer. Takes the account, the transfer, and of the account afterwards the balance
(nano-USD) and the number of the transfer, from 1."""


class Account(Struct, frozen=True):
    """Sums in nano-USD. ``credits``: of what was posted. ``charges``: what its calls cost.

    ``opened``: it is in the database. One that is not has what it will begin with.
    """

    id: str
    credits: int = 0
    charges: int = 0
    opened: bool = True

    @property
    def balance(self) -> int:
        return self.credits - self.charges


class Posted(Struct, frozen=True):
    """A transfer that was posted. ``amount``, and ``balance`` and ``credits`` of the account afterwards, are nano-USD.

    ``at``: Unix seconds. ``usd_rate``: units of the currency for one USD, if that is not USD. ``replayed``: an earlier
    request with the same idempotency key posted it. ``opened``: the account was made for it.
    """

    id: str
    account: str
    amount: int
    description: str
    at: float
    balance: int
    usd_rate: float | None = None
    credits: int = 0
    replayed: bool = False
    opened: bool = False


class IdempotencyConflict(Exception):
    """The idempotency key was used for another request."""


class CreditsExceeded(Exception):
    """An account would have more than ``MOST_CREDITS``, or less than the negative of it."""


class AccountTable:
    """Every method raises ``health.Unreachable``; those that write raise ValueError for what cannot be stored.

    ``events``: what the outbox gets with each transfer; ``None``: nothing, and transfers are not numbered.
    """

    def __init__(self, engine: Engine, events: TransferRows | None = None) -> None:
        self.engine = engine
        self._events = events

    async def read(self, account: str) -> Account | None:
        """``None``: it was not opened yet."""
        return (await self.found((account,))).get(account)

    async def found(self, accounts: Sequence[str]) -> dict[str, Account]:
        """Those of the accounts that were opened, by id. At most some thousands."""
        names = [each for each in accounts if is_storable(each)]

        async def work(connection: AsyncConnection) -> dict[str, Account]:
            rows = await connection.execute(select(*_SUMS).where(_ROW.id.in_(names)))
            return {row.id: Account(*row) for row in rows}

        return await self.engine.read(work) if names else {}

    async def page(self, limit: int, after: str = "") -> list[Account]:
        """Up to ``limit`` accounts in the order of their ids, after the one with id ``after``."""
        query = select(*_SUMS).where(_ROW.id > after).order_by(_ROW.id).limit(limit)

        async def work(connection: AsyncConnection) -> list[Account]:
            return [Account(*row) for row in await connection.execute(query)]

        return await self.engine.read(work)

    async def any_covered(self) -> bool:
        """Whether an account has a balance above 0."""

        async def work(connection: AsyncConnection) -> bool:
            found = select(_ROW.id).where(_ROW.credits > _ROW.charges).limit(1)
            return (await connection.execute(found)).first() is not None

        return await self.engine.read(work)

    async def open(self, account: str, default_nano: int) -> Account:
        """The account. It is made if it is missing, with ``default_nano`` as its first transfer; 0: without one."""
        _check_name(account)
        there = await self.read(account)
        if there is not None:
            return there

        async def work(connection: AsyncConnection) -> Account:
            await self._open(connection, account, default_nano)
            return Account(*(await connection.execute(select(*_SUMS).where(_ROW.id == account))).one())

        return await self.engine.write(work)

    async def transactions(self, account: str, limit: int, offset: int = 0) -> list[Transaction]:
        """At most ``limit`` transactions after the ``offset`` newest, newest first; ``[]``: there is no account."""
        if not is_storable(account):
            return []

        async def work(connection: AsyncConnection) -> list[Transaction]:
            return await transfers.newest(connection, account, limit, offset)

        return await self.engine.read(work)

    async def post(
        self,
        account: str,
        amount_nano: int,
        description: str,
        *,
        idempotency: tuple[str, str] | None = None,
        default_nano: int = 0,
        usd_rate: float | None = None,
    ) -> Posted:
        """Credit an amount to an account, or take it if it is negative. The account is made as by ``open``.

        ``idempotency``: a key, which includes who posts, and a digest of the request. The same two return the result
        of the first post again. Raises IdempotencyConflict for another digest, CreditsExceeded, and ValueError for an
        amount that is 0 or beyond ``MOST_AMOUNT``.
        """
        _check_name(account)
        if not amount_nano or abs(amount_nano) > MOST_AMOUNT:
            raise ValueError(f"An amount is not 0, and at most {MOST_AMOUNT} nano-USD.")
        if not is_storable(description):
            raise ValueError("No database can store the description.")

        async def work(connection: AsyncConnection) -> Posted:
            if idempotency is not None:
                former = await _claim(connection, account, *idempotency)
                if former is not None:
                    return former
            opened = await self._open(connection, account, default_nano)
            at = (await connection.execute(select(Now()))).scalar_one()
            after, number = await _credit(connection, account, amount_nano, numbered=self._events is not None)
            posted = Posted(
                transfers.new_id(),
                account,
                amount_nano,
                description,
                at,
                after.balance,
                usd_rate,
                after.credits,
                opened=opened,
            )
            made = Transaction(posted.id, at, amount_nano, description, "", usd_rate)
            await self._fund(connection, made, after, number)
            if idempotency is not None:
                answer = update(IDEMPOTENCY).where(IDEMPOTENCY.c.key == idempotency[0])
                await connection.execute(answer.values(answer=msgspec.to_builtins(posted)))
            return posted

        return await self.engine.write(work)

    async def _open(self, connection: AsyncConnection, account: str, default_nano: int) -> bool:
        """Make an account, unless it is there; whether it was made."""
        number = 1 if default_nano and self._events is not None else 0
        new = {"id": account, "credits": default_nano, "charges": 0, "opened_at": Now(), "sequence": number}
        made = await insert_new(connection, ACCOUNTS, new)
        if made and default_nano:
            at = (await connection.execute(select(Now()))).scalar_one()
            # Not an id of the account's name, which would stay when an owner is forgotten.
            first = Transaction(transfers.new_id(), at, default_nano, OPENING)
            await self._fund(connection, first, Account(account, default_nano), number)
        return made

    async def _fund(self, connection: AsyncConnection, made: Transaction, after: Account, number: int) -> None:
        """Insert the transfer to an account, with its event. ``after``: the account with it.

        ``number``: among the transfers of the account; 0: no event tells it.
        """
        await transfers.fund(connection, after.id, made, number, after.balance)
        if self._events is not None:
            await add_rows(connection, self._events(after.id, made, after.balance, number))


_SUMS: Final = (_ROW.id, _ROW.credits, _ROW.charges)


def _check_name(account: str) -> None:
    """A colon begins the names of the gateway's own accounts."""
    if not account or account.startswith(":") or not is_storable(account):
        raise ValueError(f"No account can have the name {account!r}.")


async def _credit(connection: AsyncConnection, account: str, amount: int, *, numbered: bool) -> tuple[Account, int]:
    """Returns the account afterwards, and the number of this transfer; 0 unless ``numbered``."""
    more = update(ACCOUNTS).where(_ROW.id == account).values(credits=_ROW.credits + amount)
    if numbered:
        more = more.values(sequence=_ROW.sequence + 1)
    *sums, number = (await connection.execute(more.returning(*_SUMS, _ROW.sequence))).one()
    after = Account(*sums)
    if abs(after.credits) > MOST_CREDITS:
        raise CreditsExceeded
    return after, number if numbered else 0


async def _claim(connection: AsyncConnection, account: str, key: str, digest: str) -> Posted | None:
    """The result of an earlier request with this key; ``None``: this one is the first. Others wait for its end."""
    new = {"key": key, "account": account, "digest": digest, "answer": {}, "at": Now()}
    if await insert_new(connection, IDEMPOTENCY, new):
        return None
    row = (await connection.execute(select(IDEMPOTENCY).where(IDEMPOTENCY.c.key == key))).one()
    if row.digest != digest:
        raise IdempotencyConflict
    return replace(msgspec.convert(row.answer, Posted), replayed=True)
