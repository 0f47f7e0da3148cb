"""Budgets in the output of ``sluice check``."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.budgets.overview import overview
from tests.support.gateway import to_config

JWT: dict[str, Any] = {"mode": "jwt", "jwt": {"secret": "s" * 32}}


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({"usd": 500}, "$500.00 a month for all together, by UTC"),
        ({"usd": 0.005, "per": "run"}, "$0.005 for each run"),
        ({"usd": 1e-9, "window": "total"}, "$0.000000001 in all for all together"),
        (
            {"usd": 1_000_000, "per": "owner", "window": "day", "timezone": "Europe/Berlin"},
            "$1,000,000.00 a day for each owner, by Europe/Berlin",
        ),
        (
            {"tokens": 2_000_000, "per": "team", "only": ["red", "blue"], "window": "week", "soft": True},
            "2,000,000 tokens a week for each team, by UTC, only of red, blue, warns only",
        ),
        ({"tokens": 7, "per": "label:env", "window": "total"}, "7 tokens in all for each label:env"),
    ],
)
def test_a_budget_is_a_line(budget: dict[str, Any], expected: str) -> None:
    assert [*overview(to_config({"budgets": [{"name": "b", **budget}]}))] == ["budgets:", f"  b  {expected}"]


def test_nothing_is_capped() -> None:
    assert [*overview(to_config({}))] == ["budgets: none"]


def test_balances_are_named() -> None:
    source: dict[str, Any] = {
        "auth": JWT,
        "ledger": {"enabled": True},
        "billing": {"enabled": True, "currency": "EUR", "usdRate": 0.8, "defaultBalance": 2.5},
    }
    assert [*overview(to_config(source))] == [
        "budgets: none",
        "balances: a new account begins with 2.50 EUR",
    ]
    del source["billing"]["defaultBalance"]
    assert "balances: a new account begins with nothing" in [*overview(to_config(source))]
