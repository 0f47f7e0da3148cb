"""Checks of budgets: the texts of one, and what belongs together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import UNSET

from proxy.config.billing_schema import BudgetSettings
from proxy.config.labels import label_name

LABEL: Final = "label:"
LEVELS: Final = ("everyone", "team", "owner", "key", "project", "model", "provider", "run")
CALLERS: Final = ("team", "owner", "key", "project")  # levels that only a credential says
# Names of counters that no budget configures, and what they count.
RESERVED: Final = {"balance": "for the balance of an account", "run": "for the cap of x-router-budget-usd"}
LEAST_USD: Final = 1e-9
AMOUNTS: Final = ("usd", "tokens")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}").fullmatch


def budget_name(text: str) -> str:
    if not _NAME(text):
        raise ValueError("a budget's name has at most 40 small letters, digits and dashes, and begins with no dash")
    if text in RESERVED:
        raise ValueError(f"the name {text} is reserved {RESERVED[text]}")
    return text


def budget_level(text: str) -> str:
    if text.startswith(LABEL):
        return LABEL + label_name(text.removeprefix(LABEL))
    if text not in LEVELS:
        raise ValueError(f"expected {', '.join(LEVELS)} or {LABEL}NAME")
    return text


def time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder is an OSError
        raise ValueError("is no name of the IANA time zone database, such as Europe/Berlin") from None
    return text


def budget_mistakes(budget: BudgetSettings) -> Iterator[tuple[str, str]]:
    """What is wrong within one budget, as key and text. The texts are true if ``AMOUNTS`` have no other mistake."""
    if budget.usd is UNSET and budget.tokens is UNSET:
        yield "usd", "is missing, and so is tokens: one of them is needed"
    elif budget.usd is not UNSET and budget.tokens is not UNSET:
        yield "tokens", "only one of usd and tokens may be set; write two budgets"
    elif budget.usd is not UNSET and budget.usd < LEAST_USD:
        yield "usd", "is less than a billionth of a dollar, the smallest amount that is counted"
    if budget.per == "run" and budget.window is not UNSET:
        yield "window", "cannot be used with per: run, as such a budget lasts as long as the run"
    if budget.per == "everyone" and budget.only:
        yield "only", "cannot be used with per: everyone"


def repeated_names(budgets: Sequence[BudgetSettings]) -> Iterator[str]:
    """Names of more than one budget."""
    for name, number in Counter(each.name for each in budgets).items():
        if number > 1:
            yield name
