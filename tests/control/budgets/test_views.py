"""How sums of counters are written: exact, and in a currency."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from proxy.budgets.base import BudgetCounter, note_refused
from proxy.budgets.book import Book
from proxy.budgets.rules import BudgetRules
from proxy.control.budgets.views import BudgetViews, OwnBudgetView, per_of
from tests.budgets.rig import NOON, book, config, exchange, rules


def counter_of(**settings: object) -> BudgetCounter:
    return book({"name": "b", "per": "owner", **settings}).of_call(exchange(), NOON)[0]


def own(counter: BudgetCounter, currency: str = "USD", units: float = 1.0) -> OwnBudgetView:
    [view] = BudgetViews(currency, units, NOON).own([counter]).data
    return view


def test_amounts_of_a_client_are_in_its_currency() -> None:
    counter = counter_of(usd=2)
    counter.spent, counter.held, counter.base = 10**9, 10**8, 10**8
    view = own(counter, "EUR", 0.5)
    assert (view.unit, view.cap, view.spent, view.reserved, view.left) == ("EUR", 1.0, 0.55, 0.05, 0.4)
    assert view.percent == 55.0


def test_amounts_in_tokens_are_not_converted() -> None:
    counter = counter_of(tokens=100, window="total")
    counter.spent = 99
    view = own(counter, "EUR", 0.5)
    assert (view.unit, view.cap, view.spent, view.left, view.exhausted) == ("tokens", 100, 99, 1, False)
    assert (view.begins, view.renews) == (None, None)
    counter.held = 1
    assert own(counter).exhausted


@pytest.mark.parametrize("per", ["everyone", "team", "project", "label:env"])
def test_amounts_that_others_spend_too_are_not_shown(per: str) -> None:
    counter = book({"name": "b", "per": per, "usd": 1}).of_call(exchange(added=(("env", "prod"),)), NOON)[0]
    counter.spent = 10**9
    view = own(counter)
    assert (view.per, view.exhausted) == (per, True)
    assert {view.percent, view.cap, view.spent, view.reserved, view.left} == {None}


def test_a_debt_of_an_account_is_shown() -> None:
    made = Book(BudgetRules.of(replace(config(), billing=replace(config().billing, enabled=True))), "p1", lambda: NOON)
    [balance] = made.of_call(exchange(), NOON)
    balance.cap, balance.spent = -99_800_000_000, 0
    view = own(balance)
    assert (view.left, view.cap, view.percent, view.exhausted) == (-99.8, -99.8, None, True)
    budget = counter_of(usd=1)
    budget.spent = 3 * 10**9
    assert own(budget).left == 0  # what is over the cap of a budget need not be paid


def test_a_refusal_is_shown_while_something_is_left() -> None:
    counter = counter_of(usd=1)
    counter.spent = 810_000_000
    assert not own(counter).refusing
    note_refused(counter, 200_000_000, NOON)
    view = own(counter)
    assert (view.refusing, view.exhausted, view.left) == (True, False, 0.19)


def test_a_level_is_named_as_in_the_configuration() -> None:
    label, key = rules({"name": "l", "per": "label:env", "usd": 1}, {"name": "k", "per": "key", "usd": 1}).callers
    assert (per_of(label), per_of(key)) == ("label:env", "key")
