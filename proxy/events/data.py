"""What events carry in ``data``, and the events that are made of it. Amounts are in nano-USD, times in Unix seconds."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.events.base import GatewayEvent

NANO: Final = 1_000_000_000


class TransactionData(Struct, frozen=True, kw_only=True):
    """A transfer as its account sees it. ``amount`` is negative if it lowers the balance.

    ``id``: of the transfer; of a charge, also of its row in the ledger. ``at``: of a charge, when the call ended.
    ``sequence``: its number among the transfers of the account, from 1, without gaps. ``balance``: after it. Both are
    ``None`` in an event that is told again (``sluice events replay``), as they are not kept.
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


def transaction_event(
    id: str,  # noqa: A002 - the column's name
    at: float,
    account: str,
    amount: int,
    description: str,
    request_id: str,
    usd_rate: float | None,
    *,
    balance: int | None,
    sequence: int,
) -> GatewayEvent:
    """The event of a transfer. Whoever inserts it numbers it in the same transaction (``accounts.sequence``).

    ``sequence`` 0 and ``balance`` ``None``: it is told again.
    """
    data = TransactionData(
        id=id,
        at=at,
        account=account,
        sequence=sequence or None,
        amount=amount,
        amount_usd=amount / NANO,
        balance=balance,
        balance_usd=None if balance is None else balance / NANO,
        description=description,
        request_id=request_id,
        usd_rate=usd_rate,
    )
    return GatewayEvent(f"txn_{id}", "transaction_created", at, account, data, sequence)
