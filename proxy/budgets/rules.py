"""The configured budgets, compiled once, and whom each is for."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import UNSET, Struct

from proxy.budgets.base import BALANCE, SpendBudget
from proxy.config.billing_schema import BudgetSettings
from proxy.config.labels import Labels
from proxy.config.schema import Config, TokenEstimate
from proxy.exchange import Exchange
from proxy.identity import Client

NANO: Final = 1_000_000_000
UNBOUNDED: Final = 1 << 62  # the cap of a counter whose cap is still to be read

_BALANCE: Final = SpendBudget(BALANCE, "owner", "usd", UNBOUNDED, "total", ZoneInfo("UTC"))
# A run without a configured budget, whose client caps it.
CAPPED_RUN: Final = SpendBudget("run", "run", "usd", UNBOUNDED, "run", ZoneInfo("UTC"), thresholds=(100,))


class BudgetRules(Struct, frozen=True, eq=False):
    """``callers``: budgets that who calls decides, ``runs``: those of runs, ``deployments``: of models and providers.

    ``balances``: accounts have one. ``refuses_unpriced``: what has no price is refused where USD are capped.
    ``learns``: what a byte costs is learned. ``rate``: units of ``currency`` for one USD. ``labels``: those by which
    something is counted.
    """

    callers: tuple[SpendBudget, ...]
    runs: tuple[SpendBudget, ...]
    deployments: tuple[SpendBudget, ...]
    balances: bool
    refuses_unpriced: bool
    learns: bool
    estimates: TokenEstimate
    rate: float
    currency: str
    labels: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: Config) -> BudgetRules:
        budgets = [_compiled(each) for each in config.budgets]
        levels = ("run", "model", "provider")
        return cls(
            tuple(each for each in budgets if each.level not in levels),
            tuple(each for each in budgets if each.level == "run"),
            tuple(each for each in budgets if each.level in levels[1:]),
            config.billing.enabled,
            config.billing.on_unpriced == "refuse",
            config.billing.reserve == "learned",
            config.rate_limiting.token_estimate,
            config.billing.rate,
            config.billing.currency,
            frozenset(each.label for each in budgets if each.level == "label"),
        )

    @property
    def active(self) -> bool:
        """Whether every call has to be looked at."""
        return bool(self.callers or self.runs or self.deployments or self.balances)

    @property
    def by_name(self) -> dict[str, SpendBudget]:
        return {each.name: each for each in (*self.callers, *self.runs, *self.deployments)}

    def counted_labels(self, labels: Labels) -> Labels:
        """Those of the labels that decide which counters a call has."""
        counted = self.labels
        return tuple(each for each in labels if each[0] in counted) if labels and counted else ()

    def of_caller(self, exchange: Exchange) -> Iterator[tuple[SpendBudget, str]]:
        """Budgets and subjects that do not change between calls of a client with the same labels."""
        return self.of_client(exchange.caller, exchange.labels)

    def of_client(self, caller: Client | None, labels: Labels) -> Iterator[tuple[SpendBudget, str]]:
        """The same of a client whose call has these labels, its own included."""
        payer = "" if caller is None else caller.payer
        if self.balances and payer:
            yield _BALANCE, payer
        for budget in self.callers:
            subject = _subject(budget, caller, labels, payer)
            if subject is not None and (not budget.only or subject in budget.only or _is_named(budget, caller)):
                yield budget, subject

    def of_run(self, run: str, capped: bool) -> Iterator[SpendBudget]:
        """The budgets of a run. ``capped``: by its client."""
        found = [each for each in self.runs if not each.only or run in each.only]
        if capped and not any(each.unit == "usd" and not each.soft for each in found):
            found.append(CAPPED_RUN)
        yield from found

    def of_deployment(self, name: str, provider: str) -> Iterator[tuple[SpendBudget, str]]:
        for budget in self.deployments:
            subject = name if budget.level == "model" else provider
            if not budget.only or subject in budget.only:
                yield budget, subject


def _compiled(settings: BudgetSettings) -> SpendBudget:
    level, _, label = settings.per.partition(":")
    usd, tokens = settings.usd, settings.tokens
    return SpendBudget(
        settings.name,
        level,
        "tokens" if usd is UNSET else "usd",
        (0 if tokens is UNSET else tokens) if usd is UNSET else int(Decimal(repr(usd)) * NANO),
        "run" if level == "run" else "month" if settings.window is UNSET else settings.window,
        ZoneInfo(settings.timezone),
        label,
        frozenset(settings.only),
        settings.soft,
        tuple(sorted({*settings.thresholds})),
    )


def _is_named(budget: SpendBudget, caller: Client | None) -> bool:
    """Whether a budget of keys has the name of the caller's key, as operators know it rather than its ID."""
    return budget.level == "key" and caller is not None and caller.name in budget.only


def _subject(budget: SpendBudget, caller: Client | None, labels: Labels, payer: str) -> str | None:
    """Whose spend the budget counts; ``None``: the call has no such thing."""
    match budget.level:
        case "everyone":
            return ""
        case "owner":
            return payer or None
        case "label":
            return dict(labels).get(budget.label)
    if caller is None:
        return None
    value = {"team": caller.team, "key": caller.key, "project": caller.project}[budget.level]
    return value or None
