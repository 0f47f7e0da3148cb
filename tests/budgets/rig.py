"""Budgets for tests: rules, a book with a clock that stands still, and exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from proxy.budgets.book import Book
from proxy.budgets.rules import BudgetRules
from proxy.config.labels import Labels
from proxy.config.schema import Config
from proxy.exchange import Exchange
from proxy.identity import Client
from tests.support.gateway import NO_LEDGER, to_config

NOON = 1_795_953_600.0  # 2026-11-29 12:00 UTC, a Sunday
ALICE = Client("key:1", key="k1", owner="alice", team="red", project="p")


def config(*budgets: Mapping[str, Any], **billing: Any) -> Config:
    own = {"budgets": [*budgets], "providers": {"up": {"baseUrl": "http://127.0.0.1:1/v1"}}}
    return to_config({**own, "billing": billing, "ledger": NO_LEDGER})


def rules(*budgets: Mapping[str, Any], **billing: Any) -> BudgetRules:
    return BudgetRules.of(config(*budgets, **billing))


def book(*budgets: Mapping[str, Any], now: float = NOON) -> Book:
    return Book(rules(*budgets), "p1", lambda: now)


def exchange(
    caller: Client | None = ALICE,
    *,
    run: str = "",
    parent: str = "",
    cap: int | None = None,
    added: Labels = (),
    identifier: str = "r1",
) -> Exchange:
    made: Any = SimpleNamespace(path="chat/completions")
    catalog: Any = None
    found = Exchange(made, catalog, identifier, 0.0, caller=caller, run=run, added_labels=added)
    found.run_parent, found.run_cap = parent, cap
    return found
