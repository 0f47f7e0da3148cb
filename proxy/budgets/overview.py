"""What a configuration caps, as text, for ``sluice check``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from msgspec import UNSET

from proxy.config.billing_schema import Billing, BudgetSettings
from proxy.config.schema import Config

_WINDOWS: Final = {"day": " a day", "week": " a week", "month": " a month", "total": " in all"}


def overview(config: Config) -> Iterator[str]:
    """Lines about budgets, and about balances if there are any."""
    yield "budgets:" if config.budgets else "budgets: none"
    for budget in config.budgets:
        yield f"  {budget.name}  {_budget(budget)}"
    if config.billing.enabled:
        yield f"balances: {_balances(config.billing)}"


def _budget(budget: BudgetSettings) -> str:
    cap = f"{budget.tokens:,} tokens" if budget.usd is UNSET else f"${_digits(budget.usd)}"
    run = budget.per == "run"
    window = "" if run else _WINDOWS["month" if budget.window is UNSET else budget.window]
    whose = "for all together" if budget.per == "everyone" else f"for each {budget.per}"
    zone = "" if run or budget.window == "total" else f", by {budget.timezone}"
    return f"{cap}{window} {whose}{zone}{_only(budget.only)}{', warns only' if budget.soft else ''}"


def _only(names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f", only of {listed}" if listed else ""


def _balances(billing: Billing) -> str:
    first = f"{_digits(billing.default_balance)} {billing.currency}" if billing.default_balance else "nothing"
    return f"a new account begins with {first}"


def _digits(amount: float) -> str:
    """All digits of an amount, at least two behind the point."""
    whole, _, rest = f"{Decimal(repr(amount)):,f}".partition(".")
    return f"{whole}.{rest.rstrip('0'):0<2}"
