"""Balances and transactions as JSON: amounts, times and pages."""

from __future__ import annotations

import msgspec

from proxy.config.billing_schema import Billing
from proxy.control.billing.views import BillingViews
from proxy.database.accounts import Account, Posted
from proxy.database.transfers import Transaction

USD = BillingViews(Billing(enabled=True))
EURO = BillingViews(Billing(enabled=True, currency="EUR", usd_rate=0.86))
CALL = Transaction("t1", 1_700_000_000.1234, -2_500_000, "Chat completion with m", "req-1")
DEPOSIT = Transaction("t2", 1_700_000_000.0, 10_000_000_000, "Top-up", "", 0.5)


def as_json(view: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(view))


def test_a_balance_is_exact_in_usd_and_converted_in_another_currency() -> None:
    account = Account("alice", 450_000_000, 449_999_999)
    assert as_json(USD.balance(account)) == {"user_id": "alice", "balance": 1e-9, "currency": "USD"}
    assert EURO.balance(Account("alice", 10_000_000_000, 20_000_000_000)).balance == -8.6


def test_the_transaction_of_a_call_names_its_request() -> None:
    (call,) = USD.transactions("alice", [CALL], 5).data
    assert as_json(call) == {
        "id": "t1",
        "user_id": "alice",
        "amount": -0.0025,
        "description": "Chat completion with m",
        "timestamp": "2023-11-14T22:13:20.123Z",
        "request_id": "req-1",
    }


def test_a_transaction_is_shown_at_its_own_rate_else_at_the_present_one() -> None:
    deposit, call = EURO.transactions("alice", [DEPOSIT, CALL], 5).data
    assert (deposit.amount, call.amount) == (5, -0.00215)
    assert deposit.request_id is msgspec.UNSET


def test_one_more_than_a_page_says_that_there_are_more() -> None:
    listed = USD.transactions("alice", [CALL, DEPOSIT], 1)
    assert (len(listed.data), listed.has_more) == (1, True)
    assert not USD.transactions("alice", [CALL], 1).has_more
    page = USD.accounts([Account("a"), Account("b"), Account("c")], 2)
    assert ([each.user_id for each in page.data], page.last_id, page.has_more) == (["a", "b"], "b", True)
    assert as_json(USD.accounts([], 2)) == {"data": [], "last_id": None, "has_more": False, "object": "list"}


def test_a_posted_transaction_has_the_balance_at_its_rate() -> None:
    posted = EURO.posted(Posted("p", "alice", 2_000_000_000, "Top-up", 1_700_000_000.0, 4_000_000_000, 0.5))
    assert (posted.amount, posted.balance, posted.timestamp) == (1, 2, "2023-11-14T22:13:20.000Z")
