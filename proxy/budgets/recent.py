"""The accounts that were used last, and their balances, for the metrics.

It is fed with exchanges that ended, many at once, so no request waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.budgets.book import Book
from proxy.budgets.rules import UNBOUNDED
from proxy.exchange import Exchange
from proxy.pricing.currency import ExchangeRate

MOST: Final = 100


class RecentAccounts:
    """At most ``most`` accounts are remembered."""

    def __init__(self, book: Book, most: int = MOST) -> None:
        self._book = book
        self._most = most
        self._accounts: dict[str, None] = {}  # the last used at the end

    def settle(self, ended: Sequence[Exchange]) -> None:
        """Remember who made these calls."""
        if not self._book.rules.balances:
            return
        accounts = self._accounts
        for exchange in ended:
            payer = "" if exchange.caller is None else exchange.caller.payer
            if payer:
                accounts.pop(payer, None)
                accounts[payer] = None
        while len(accounts) > self._most:
            del accounts[next(iter(accounts))]

    def balances(self) -> dict[str, float]:
        """Balances in the currency of balances, as far as this process knows them. What is held is not spent yet."""
        rate = ExchangeRate(self._book.rules.rate)
        found = ((account, self._book.balance(account)) for account in self._accounts)
        return {
            account: rate.amount(counter.cap - counter.base - counter.spent)
            for account, counter in found
            if counter is not None and counter.seeded and counter.cap != UNBOUNDED
        }
