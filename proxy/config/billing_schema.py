"""Sections about money: the currency, balances and budgets."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from proxy.config.types import (
    BudgetLevel,
    BudgetName,
    Currency,
    Name,
    Section,
    TimeZone,
)

WindowKind = Literal["day", "week", "month", "total"]

Usd = Annotated[float, Meta(gt=0, le=1_000_000_000)]
Tokens = Annotated[int, Meta(ge=1, le=10**15)]
Percent = Annotated[int, Meta(ge=1, le=100)]


class Billing(Section, frozen=True):
    """Balances of accounts, and the currency in which costs are shown.

    Prices and the ledger are in USD; ``usd_rate``: units of the currency for one USD. ``default_balance``, in that
    currency, is what a new account gets. ``reserve``: what a call may use at most by the bytes of its text: a token a
    byte, or as learned from the model's answers. ``on_unpriced``: calls whose model has no price, where a balance or a
    budget in USD applies.
    """

    enabled: bool = False
    currency: Currency = "USD"
    usd_rate: Annotated[float, Meta(gt=0, le=1_000_000_000)] | UnsetType = UNSET
    default_balance: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    reserve: Literal["most", "learned"] = "most"
    on_unpriced: Literal["refuse", "allow"] = "refuse"

    @property
    def rate(self) -> float:
        """Units of the currency for one USD."""
        return 1.0 if self.usd_rate is UNSET else self.usd_rate

    @property
    def default_nano(self) -> int:
        """What a new account gets, in nano-USD."""
        return round(self.default_balance / self.rate * 1e9)


class BudgetSettings(Section, frozen=True):
    """What may be spent at most: in USD or in tokens, in each window.

    ``per``: whose spend is counted, each on its own: ``everyone``, ``team``, ``owner``, ``key``, ``project``,
    ``model``, ``provider``, ``run`` or ``label:NAME``. ``only``: of these, the budget is for those named; a
    key by its ID or its name. Without a
    window, a budget of runs lasts as long as the run, and any other a month. ``soft``: it warns and does not refuse.
    ``thresholds``: percent at which its operator is told.
    """

    name: BudgetName
    per: BudgetLevel = "everyone"
    only: list[Name] = []
    usd: Usd | UnsetType = UNSET
    tokens: Tokens | UnsetType = UNSET
    window: WindowKind | UnsetType = UNSET
    timezone: TimeZone = "UTC"
    soft: bool = False
    thresholds: list[Percent] = field(default_factory=lambda: [50, 80, 100])
