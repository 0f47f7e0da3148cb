"""What events carry in ``data``, and the events that are made of it. Amounts are in nano-USD, times in Unix seconds."""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

from proxy.events.base import GatewayEvent

NANO: Final = 1_000_000_000

_LAST: Final = 253402300799.0  # the end of the year 9999, in Unix seconds: no later time can be written


class Transfer(Protocol):
    """A transfer as its account sees it. ``amount`` is negative if it lowers the balance.

    ``database.transfers.Transaction``, or what the recorder has inserted.
    """

    @property
    def id(self) -> str: ...

    @property
    def at(self) -> float: ...

    @property
    def amount(self) -> int: ...

    @property
    def description(self) -> str: ...

    @property
    def request_id(self) -> str: ...

    @property
    def usd_rate(self) -> float | None: ...


class TransactionData(Struct, frozen=True, kw_only=True):
    """A transfer as its account sees it. ``amount`` is negative if it lowers the balance.

    ``id``: of the transfer; of a charge, also of its row in the ledger. ``at``: of a charge, when the call ended.
    ``sequence``: its number among the transfers of the account, from 1, without gaps. ``balance``: after it. Both are
    ``None`` only where ``sluice events replay`` sends a transfer that had no event before.
    ``request_id``: of the call, or ``""``. ``usd_rate``: units of the currency for one USD, if that is not USD.
    """

    id: str
    at: float
    account: str
    sequence: int | None
    amount: int
    amount_usd: float
    balance: int | None
    balance_usd: float | None
    description: str
    request_id: str
    usd_rate: float | None


def transaction_event(account: str, made: Transfer, *, balance: int | None, sequence: int) -> GatewayEvent:
    """The event of a transfer, which is numbered in the transaction that inserts it (``accounts.sequence``).

    ``sequence`` 0 and ``balance`` ``None``: it had no number, as it had no event.
    """
    at = moment(made.at)
    data = TransactionData(
        id=made.id,
        at=at,
        account=account,
        sequence=sequence or None,
        amount=made.amount,
        amount_usd=made.amount / NANO,
        balance=balance,
        balance_usd=None if balance is None else balance / NANO,
        description=made.description,
        request_id=made.request_id,
        usd_rate=made.usd_rate,
    )
    return GatewayEvent(f"txn_{made.id}", "transaction_created", at, account, data, sequence)


def moment(at: float) -> float:
    """``at`` if it is a time that can be written. A row may have an absurd one, and must not fail for its event."""
    return at if 0.0 <= at <= _LAST else 0.0
