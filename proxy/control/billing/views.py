"""Balances and transactions in answers.

Amounts are JSON numbers in the currency of balances. A transaction is shown at the rate that applied when it was made,
so that an amount stays what it was; a balance, which is kept in USD, at the present one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct, UnsetType

from proxy.config.billing_schema import Billing
from proxy.pricing.currency import ExchangeRate

if TYPE_CHECKING:
    from proxy.database.accounts import Account, Posted
    from proxy.database.transfers import Transaction


class BalanceView(Struct):
    """``balance``: what was credited to the account, less what its calls cost. ``opened``: ``false`` if there is no
    such account yet; then ``balance`` is what it will begin with.
    """

    user_id: str
    balance: float
    currency: str
    opened: bool | UnsetType = UNSET


class TransactionView(Struct):
    """``amount``: negative if it lowered the balance, as calls do. ``request_id``: of the call."""

    id: str
    user_id: str
    amount: float
    description: str
    timestamp: str
    request_id: str | UnsetType = UNSET


class PostedView(Struct):
    """``balance``: of the account, after the transaction. ``opened``: ``true`` if there was no such account before."""

    id: str
    user_id: str
    amount: float
    description: str
    timestamp: str
    balance: float
    opened: bool | UnsetType = UNSET


class TransactionList(Struct):
    """The newest first."""

    data: Sequence[TransactionView]
    has_more: bool
    user_id: str
    currency: str
    object: Literal["list"] = "list"


class AccountList(Struct):
    """In the order of ``user_id``; ``last_id`` is the ``after`` of the next page."""

    data: Sequence[BalanceView]
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class BillingViews:
    """Makes answers in the currency of ``settings``."""

    def __init__(self, settings: Billing) -> None:
        self._currency = settings.currency
        self._rate = ExchangeRate(settings.rate)

    def balance(self, account: Account) -> BalanceView:
        balance = self._rate.amount(account.balance)
        return BalanceView(account.id, balance, self._currency, UNSET if account.opened else False)

    def accounts(self, found: Sequence[Account], limit: int) -> AccountList:
        """The first ``limit`` of those found."""
        shown = [self.balance(each) for each in found[:limit]]
        return AccountList(shown, shown[-1].user_id if shown else None, len(found) > limit)

    def transactions(self, account: str, found: Sequence[Transaction], limit: int) -> TransactionList:
        """The first ``limit`` of those found."""
        shown = [self._transaction(account, each) for each in found[:limit]]
        return TransactionList(shown, len(found) > limit, account, self._currency)

    def posted(self, posted: Posted) -> PostedView:
        rate = self._at(posted.usd_rate)
        return PostedView(
            posted.id,
            posted.account,
            rate.amount(posted.amount),
            posted.description,
            _iso_time(posted.at),
            rate.amount(posted.balance),
            posted.opened or UNSET,
        )

    def _transaction(self, account: str, found: Transaction) -> TransactionView:
        amount = self._at(found.usd_rate).amount(found.amount)
        return TransactionView(
            found.id, account, amount, found.description, _iso_time(found.at), found.request_id or UNSET
        )

    def _at(self, usd_rate: float | None) -> ExchangeRate:
        return self._rate if usd_rate is None else ExchangeRate(usd_rate)


def _iso_time(seconds: float) -> str:
    """Unix seconds in ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
