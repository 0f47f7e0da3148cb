"""Models that a cap in USD refuses, as they have no price."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.budgets.unpriced import unpriced_models
from proxy.pricing.catalog import PriceCatalog, shipped
from tests.support.gateway import to_config

JWT: dict[str, Any] = {"mode": "jwt", "jwt": {"secret": "s" * 32}}
LEDGER = {"enabled": True}
SOURCE: dict[str, Any] = {
    "providers": {
        "up": {"baseUrl": "http://127.0.0.1:9/v1"},
        "openai": {"apiKey": "k"},
        "both": {"baseUrls": ["https://api.openai.com/v1", "http://127.0.0.1:9/v1"], "apiKey": "k"},
    },
    "models": [
        {"name": "bare", "provider": "up"},
        {"name": "own", "provider": "up", "inputPrice": 1, "outputPrice": 2},
        {"name": "small", "provider": "openai", "model": "gpt-4o-mini"},
        {"name": "half", "provider": "both", "model": "gpt-4o-mini"},
        {"name": "off", "provider": "up", "available": False},
    ],
}


def names(*budgets: dict[str, Any], **more: Any) -> list[str]:
    made = [{"name": f"b{number}", **each} for number, each in enumerate(budgets)]
    return unpriced_models(to_config({**SOURCE, "budgets": made, **more}), shipped)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({"usd": 5}, ["bare", "half"]),
        ({"usd": 5, "per": "run"}, ["bare", "half"]),
        ({"usd": 5, "soft": True}, []),
        ({"tokens": 5}, []),
        ({"usd": 5, "per": "provider", "only": ["both"]}, ["half"]),
        ({"usd": 5, "per": "model", "only": ["bare", "own"]}, ["bare"]),
        ({"usd": 5, "per": "owner"}, []),  # without authentication a call has no owner
    ],
)
def test_a_hard_cap_in_usd_needs_prices(budget: dict[str, Any], expected: list[str]) -> None:
    assert names(budget) == expected


def test_so_does_a_balance_unless_the_operator_allows_what_has_no_price() -> None:
    assert names(auth=JWT, ledger=LEDGER, billing={"enabled": True}) == ["bare", "half"]
    assert names({"usd": 5, "per": "owner", "only": ["alice"]}, auth=JWT) == ["bare", "half"]
    assert names({"usd": 5}, auth=JWT, ledger=LEDGER, billing={"enabled": True, "onUnpriced": "allow"}) == []


def test_prices_are_not_read_where_nothing_needs_them() -> None:
    def refused() -> PriceCatalog:
        raise AssertionError("nothing is capped in USD")

    assert unpriced_models(to_config({**SOURCE, "budgets": [{"name": "b", "tokens": 5}]}), refused) == []
