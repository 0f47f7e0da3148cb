"""What a refused client reads."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from proxy.budgets import refusal as source
from proxy.budgets.base import BudgetCounter, Shortfall, SpendBudget
from proxy.budgets.refusal import no_price
from proxy.errors import GatewayError


def short(level: str, *, unit: str = "usd", name: str = "daily", ends: float | None = 1_796_000_400.0) -> Shortfall:
    assert unit in ("usd", "tokens")
    budget = SpendBudget(name, level, "usd" if unit == "usd" else "tokens", 10**9, "day", ZoneInfo("UTC"), label="env")
    counter = BudgetCounter("k", budget, "x", ends, 10**9, spent=900_000_000, held=50_000_000)
    return Shortfall(counter, 60_000_000, 950_000_000)


def refusal(found: Shortfall, rate: float = 1.0, currency: str = "USD") -> GatewayError:
    """An hour before the window of ``short`` ends."""
    return source.refusal(found, 1_795_996_800.5, rate, currency)


def test_its_own_amounts_are_shown() -> None:
    assert refusal(short("owner")).message == (
        "The budget 'daily' of your account does not cover this call: $0.95 of $1.00 are spent or held by running calls,"
        " and this one may cost $0.06. A smaller max_tokens may fit. It is renewed at 2026-11-30T01:00:00Z."
    )


def test_no_smaller_call_is_proposed_where_nothing_is_left() -> None:
    used_up = short("owner")
    assert "max_tokens" not in refusal(Shortfall(used_up.counter, 60_000_000, 10**9)).message


def test_tokens() -> None:
    text = refusal(short("key", unit="tokens", ends=None)).message
    assert "950,000,000 tokens of 1,000,000,000 tokens are spent" in text
    assert text.endswith("It is not renewed.")


@pytest.mark.parametrize("level", ["everyone", "team", "project", "model", "provider", "label"])
def test_what_others_spent_is_not_shown(level: str) -> None:
    text = refusal(short(level)).message
    assert "$" not in text
    assert "0." not in text
    assert "2026-11-30T01:00:00Z" in text


def test_a_balance_says_what_is_left() -> None:
    assert refusal(short("owner", name="balance", ends=None)).message == (
        "Your balance does not cover this call: it is $0.10, of which running calls may use $0.05, and the call may cost"
        " $0.06. Ask the operator of the gateway to add to it, or request fewer tokens (max_tokens)."
    )


def test_a_debt_is_shown() -> None:
    found = short("owner", name="balance", ends=None)
    found.counter.cap = -98_900_000_000
    text = refusal(found).message
    assert "it is -$99.80, of which" in text
    assert "max_tokens" not in text
    assert "it is -199.60 EUR" in refusal(found, 2.0, "EUR").message


def test_the_operator_is_told_the_counter_and_its_amounts() -> None:
    assert refusal(short("everyone")).detail == "k: needed $0.06, used $0.95 (spent $0.90), cap $1.00"
    assert "needed 60,000,000 tokens, used 950,000,000 tokens" in refusal(short("team", unit="tokens")).detail
    broken = short("model")
    broken.counter.key = "daily/total/\ud800"
    assert refusal(broken).detail.startswith("daily/total/?: needed")


def test_another_currency() -> None:
    assert "0.475 EUR of 0.50 EUR" in refusal(short("owner"), 0.5, "EUR").message


def test_the_error_is_final() -> None:
    fault = refusal(short("owner"))
    assert (fault.status, fault.code, fault.should_retry) == (429, "insufficient_quota", False)
    assert fault.retry_after == 3600  # until it is renewed
    assert refusal(short("owner", ends=None)).retry_after is None
    assert refusal(short("owner", ends=1_795_996_800.0)).retry_after == 1  # it has just been renewed
    assert "'gpt'" in no_price("gpt").message
