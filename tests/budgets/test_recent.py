"""The accounts that were used last: how many are remembered, and their balances."""

from __future__ import annotations

from typing import Any

from proxy.budgets.book import Book
from proxy.budgets.recent import RecentAccounts
from proxy.budgets.rules import UNBOUNDED, BudgetRules
from proxy.config.billing_schema import Billing
from proxy.config.schema import Config
from proxy.identity import Client
from tests.budgets.rig import NOON, exchange


def book(**billing: Any) -> Book:
    return Book(BudgetRules.of(Config(billing=Billing(enabled=True, **billing))), "p1", lambda: NOON)


def use(book: Book, recent: RecentAccounts, *owners: str) -> None:
    """A call of each, which ended; a nano-USD was credited to each."""
    ended = [exchange(Client(f"key:{owner}", owner=owner)) for owner in owners]
    for each, owner in zip(ended, owners, strict=True):
        book.of_call(each, NOON)
        book.credited(owner, 1)
    recent.settle(ended)


def test_a_balance_is_what_was_credited_less_what_all_processes_spent() -> None:
    own = book()
    recent = RecentAccounts(own)
    use(own, recent, "alice")
    own.credited("alice", 10_000_000_000)
    counter = own.balance("alice")
    assert counter is not None
    counter.base, counter.spent, counter.held = 1_000_000_000, 500_000_000, 7
    assert recent.balances() == {"alice": 8.5}


def test_balances_are_in_the_currency() -> None:
    own = book(currency="EUR", usd_rate=0.86)
    recent = RecentAccounts(own)
    use(own, recent, "alice")
    own.credited("alice", 10_000_000_000)
    assert recent.balances() == {"alice": 8.6}


def test_only_the_accounts_used_last_are_remembered() -> None:
    own = book()
    recent = RecentAccounts(own, most=2)
    use(own, recent, "alice", "bob")
    use(own, recent, "alice")
    use(own, recent, "carol")
    assert list(recent.balances()) == ["alice", "carol"]
    use(own, recent, *(f"user {number}" for number in range(1000)))
    assert list(recent.balances()) == ["user 998", "user 999"]


def test_an_account_that_was_not_read_yet_has_no_balance() -> None:
    own = book()
    recent = RecentAccounts(own)
    use(own, recent, "alice")
    counter = own.balance("alice")
    assert counter is not None
    counter.cap = UNBOUNDED  # what was credited to it is not known
    assert recent.balances() == {}
    counter.cap, counter.seeded = 1, False
    assert recent.balances() == {}


def test_calls_without_a_payer_and_gateways_without_balances_have_none() -> None:
    own = book()
    recent = RecentAccounts(own)
    recent.settle([exchange(None), exchange(Client("address:127.0.0.1"))])
    assert recent.balances() == {}
    plain = Book(BudgetRules.of(Config()), "p1", lambda: NOON)
    recent = RecentAccounts(plain)
    use(plain, recent, "alice")
    assert recent.balances() == {}
