"""Which budgets a call and a deployment have."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.budgets.rules import BudgetRules
from proxy.config.schema import Config
from proxy.exchange import Exchange
from proxy.identity import Client
from tests.budgets.rig import ALICE, exchange, rules


def subjects(budget: dict[str, Any], call: Exchange) -> list[str]:
    made = rules({"name": "b", "usd": 1, **budget})
    return [subject for _, subject in made.of_caller(call)]


@pytest.mark.parametrize(
    ("per", "subject"),
    [("everyone", ""), ("owner", "alice"), ("key", "k1"), ("team", "red"), ("project", "p"), ("label:env", "prod")],
)
def test_each_level_has_its_subject(per: str, subject: str) -> None:
    assert subjects({"per": per}, exchange(added=(("env", "prod"),))) == [subject]


@pytest.mark.parametrize("per", ["owner", "key", "team", "project", "label:env"])
def test_a_call_without_a_subject_has_no_such_budget(per: str) -> None:
    assert subjects({"per": per}, exchange(Client("address:127.0.0.1"))) == []
    assert subjects({"per": per}, exchange(None)) == []


def test_without_an_owner_the_credential_pays() -> None:
    assert subjects({"per": "owner"}, exchange(Client("key:7"))) == ["key:7"]


def test_a_budget_may_be_for_some_only() -> None:
    assert subjects({"per": "owner", "only": ["alice"]}, exchange()) == ["alice"]
    assert subjects({"per": "owner", "only": ["bob"]}, exchange()) == []


@pytest.mark.parametrize("named", ["config:bob", "bob"])
def test_a_budget_of_keys_may_name_them_by_id_or_by_name(named: str) -> None:
    bob = Client("key:config:bob", "bob", key="config:bob", owner="carol")
    assert subjects({"per": "key", "only": [named]}, exchange(bob)) == ["config:bob"]
    assert subjects({"per": "key", "only": ["alice"]}, exchange(bob)) == []
    assert subjects({"per": "owner", "only": [named]}, exchange(bob)) == []
    assert subjects({"per": "key", "only": [named]}, exchange(Client("jwt:bob", "bob", owner="bob"))) == []


def test_models_and_providers() -> None:
    made = rules(
        {"name": "m", "usd": 1, "per": "model"}, {"name": "p", "tokens": 1, "per": "provider", "only": ["other"]}
    )
    assert [(budget.name, subject) for budget, subject in made.of_deployment("gpt", "up")] == [("m", "gpt")]
    assert [budget.name for budget, _ in made.of_deployment("gpt", "other")] == ["m", "p"]
    assert [*made.of_caller(exchange())] == []


def test_amounts_are_exact() -> None:
    (budget,) = rules({"name": "b", "usd": 0.000000001}).callers
    assert (budget.unit, budget.cap) == ("usd", 1)
    (large,) = rules({"name": "b", "usd": 1_000_000_000}).callers
    assert large.cap == 10**18
    (tokens,) = rules({"name": "b", "tokens": 7}).callers
    assert (tokens.unit, tokens.cap, tokens.window) == ("tokens", 7, "month")


def test_a_run_has_what_is_configured_or_what_its_client_says() -> None:
    made = rules({"name": "r", "usd": 1, "per": "run"})
    assert [each.name for each in made.of_run("x", capped=True)] == ["r"]
    assert [each.name for each in rules().of_run("x", capped=True)] == ["run"]
    assert [*rules().of_run("x", capped=False)] == []


def test_an_account_has_a_balance() -> None:
    made = BudgetRules.of(Config())
    assert not made.active
    assert not made.balances
    assert ALICE.payer == "alice"
