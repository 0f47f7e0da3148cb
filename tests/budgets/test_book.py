"""The counters of a process: found again, bounded, and forgotten after their window."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proxy.budgets import book as source
from proxy.budgets.base import BudgetCounter
from proxy.budgets.book import IDLE, Book, SeedsUnavailable
from proxy.budgets.named import NamedCounters
from proxy.errors import Overloaded
from proxy.identity import Client
from tests.budgets.rig import ALICE, NOON, book, exchange, rules

DAY = 86_400.0
DAILY = {"name": "daily", "per": "owner", "usd": 1, "window": "day"}
RUNS = {"name": "runs", "per": "run", "usd": 1}


def test_a_call_finds_the_counter_of_its_window() -> None:
    kept = book(DAILY)
    (today,) = kept.of_call(exchange(), NOON)
    assert (today.key, today.cap, today.ends) == ("daily/2026-11-29/alice", 10**9, NOON + DAY / 2)
    assert kept.of_call(exchange(), NOON + 1) == (today,)
    (tomorrow,) = kept.of_call(exchange(), NOON + DAY / 2)
    assert tomorrow.key == "daily/2026-11-30/alice"
    (bob,) = kept.of_call(exchange(Client("key:2", owner="bob")), NOON)
    assert bob is not today


def test_other_labels_may_be_other_counters() -> None:
    kept = book({"name": "env", "per": "label:env", "usd": 1})
    assert kept.of_call(exchange(), NOON) == ()
    (prod,) = kept.of_call(exchange(added=(("env", "prod"),)), NOON)
    assert prod.subject == "prod"


def test_models_and_providers_have_counters() -> None:
    kept = book({"name": "m", "per": "model", "tokens": 9})
    (counter,) = kept.of_deployment("gpt", "up", NOON)
    assert counter.key == "m/2026-11/gpt"
    assert kept.of_deployment("gpt", "other", NOON) == (counter,)


def test_a_run_counts_for_the_runs_whose_sub_agent_it_is() -> None:
    kept = book(RUNS)
    bob = Client("key:2", owner="bob")
    assert [each.key for each in kept.of_call(exchange(bob, run="a"), NOON)] == ["runs/run/bob/a"]
    assert [each.key for each in kept.of_call(exchange(run="a"), NOON)] == ["runs/run/alice/a"]
    assert [each.key for each in kept.of_call(exchange(run="b", parent="a"), NOON)] == [
        "runs/run/alice/b",
        "runs/run/alice/a",
    ]
    assert kept.of_call(exchange(), NOON) == ()


def test_a_client_may_lower_the_cap_of_its_run_and_not_raise_it() -> None:
    kept = book(RUNS)
    (counter,) = kept.of_call(exchange(run="a", cap=5), NOON)
    assert counter.cap == 5
    kept.of_call(exchange(run="a", cap=10**12), NOON)
    kept.of_call(exchange(run="a"), NOON)
    assert counter.cap == 5
    assert counter.next_at == 3


def test_a_client_may_cap_a_run_without_a_budget() -> None:
    kept = book()
    (counter,) = kept.of_call(exchange(run="a", cap=5), NOON)
    assert (counter.key, counter.cap) == ("run/run/alice/a", 5)
    assert kept.of_call(exchange(run="b"), NOON) == ()


def test_the_cap_of_a_client_refuses_where_the_configured_budget_only_warns() -> None:
    kept = book(RUNS | {"soft": True})
    (soft, own) = kept.of_call(exchange(run="a", cap=5), NOON)
    assert (soft.budget.soft, soft.cap) == (True, soft.budget.cap)
    assert (own.key, own.cap, own.budget.soft) == ("run/run/alice/a", 5, False)
    assert kept.of_call(exchange(run="a"), NOON) == (soft, own)


def test_a_run_that_was_capped_stays_so_for_calls_that_do_not_say_it() -> None:
    """A sub-agent may leave the header out. The same run of another payer has no cap."""
    kept = book()
    assert kept.of_call(exchange(run="a"), NOON) == ()
    (counter,) = kept.of_call(exchange(run="a", cap=5), NOON)
    assert kept.of_call(exchange(run="a"), NOON) == (counter,)
    assert kept.of_call(exchange(Client("key:2", owner="bob"), run="a"), NOON) == ()


def test_a_parent_that_its_client_capped_is_charged_for_its_sub_agents() -> None:
    """Older versions of Codex have a session for each sub-agent."""
    kept = book()
    (parent,) = kept.of_call(exchange(run="a", cap=5), NOON)
    assert kept.of_call(exchange(run="b", parent="a"), NOON) == (parent,)
    (own, its_parent) = kept.of_call(exchange(run="b", cap=3), NOON)  # its parent is known by now
    assert (own.key, own.cap) == ("run/run/alice/b", 3)
    assert its_parent is parent
    assert kept.of_call(exchange(run="c", parent="d"), NOON) == ()


def test_new_rules_keep_what_was_counted() -> None:
    kept = book(DAILY)
    (counter,) = kept.of_call(exchange(), NOON)
    counter.spent = 7
    kept.adopt(rules(DAILY | {"usd": 2}))
    assert kept.of_call(exchange(), NOON) == (counter,)
    assert (counter.spent, counter.cap) == (7, 2 * 10**9)
    kept.adopt(rules())
    assert kept.of_call(exchange(), NOON) == ()


def test_what_was_counted_in_another_unit_or_for_others_is_forgotten() -> None:
    kept = book(DAILY)
    (counter,) = kept.of_call(exchange(), NOON)
    counter.spent = 10**9
    tokens = {"name": DAILY["name"], "per": "owner", "window": "day", "tokens": 1000}
    kept.adopt(rules(tokens))
    (other,) = kept.of_call(exchange(), NOON)
    assert (other.key, other.spent, other.cap) == (counter.key, 0, 1000)
    kept.adopt(rules(tokens | {"per": "label:env"}))
    (label,) = kept.of_call(exchange(added=(("env", "alice"),)), NOON)
    assert label not in (counter, other)
    kept.adopt(rules(tokens))
    assert kept.of_call(exchange(), NOON) not in ((label,), (other,))
    assert len(kept) == 1


def test_new_rules_keep_the_cap_that_a_client_gave_its_run() -> None:
    kept = book(RUNS)
    (counter,) = kept.of_call(exchange(run="a", cap=5), NOON)
    kept.adopt(rules(RUNS))
    assert counter.cap == 5
    kept.adopt(rules(RUNS | {"usd": 0.000000003}))
    assert counter.cap == 3


def test_ended_windows_and_idle_runs_are_forgotten_unless_something_is_held() -> None:
    kept = book(DAILY, RUNS)
    (daily, idle) = kept.of_call(exchange(run="a"), NOON)
    (_, busy) = kept.of_call(exchange(run="b"), NOON)
    busy.held = 1
    kept.sweep(NOON + DAY / 2 - 1)
    assert len(kept) == 3
    kept.sweep(NOON + max(DAY / 2, IDLE))
    assert [*kept] == [busy]
    assert kept.find(daily.key) is None
    assert kept.find(idle.key) is None


def test_runs_are_not_looked_for_after_the_last_one_was_forgotten() -> None:
    kept = book()
    kept.of_call(exchange(run="a", cap=5), NOON)
    kept.sweep(NOON)
    assert kept.counts_runs
    kept.sweep(NOON + IDLE)
    assert not kept.counts_runs


def test_idle_counters_without_an_end_are_forgotten_where_the_ledger_has_them() -> None:
    kept = book(DAILY | {"window": "total"})
    (counter,) = kept.of_call(exchange(), NOON)
    kept.sweep(NOON + IDLE)
    assert kept.of_call(exchange(), NOON) == (counter,)
    kept.seeder = _Down()
    kept.sweep(NOON + IDLE - 1)
    assert kept.of_call(exchange(), NOON) == (counter,)
    kept.sweep(NOON + IDLE)
    (again,) = kept.of_call(exchange(), NOON)
    assert again is not counter


def test_without_a_ledger_ended_windows_are_forgotten_when_new_ones_begin() -> None:
    kept = book(DAILY)
    kept.of_call(exchange(), NOON)
    kept.of_call(exchange(), NOON + DAY)
    assert len(kept) == 1


def test_the_numbers_of_runs_and_of_values_of_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients name them as they like."""
    monkeypatch.setattr(source, "NamedCounters", lambda: NamedCounters(3))
    kept = book(RUNS, {"name": "env", "per": "label:env", "usd": 1})
    for name in "abcdefg":
        (label, run) = kept.of_call(exchange(run=name, added=(("env", name),)), NOON)
        assert kept.of_call(exchange(run=name, added=(("env", name),)), NOON) == (label, run)
        if name == "b":
            label.spent = run.spent = 1
    assert [each.subject for each in kept] == ["alice/b", "alice/f", "alice/g", "b", "f", "g"]


def test_the_number_of_models_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider may take any."""
    monkeypatch.setattr(source, "NamedCounters", lambda: NamedCounters(3))
    kept = book({"name": "models", "per": "model", "usd": 1}, {"name": "up", "per": "provider", "usd": 1})
    for name in "abcdefg":
        (model, _) = kept.of_deployment(name, "p", NOON)
        assert kept.find(model.key) is model
    assert sorted(each.subject for each in kept) == ["e", "f", "g", "p"]


def test_labels_that_no_budget_counts_do_not_matter() -> None:
    kept = book(DAILY)
    (counter,) = kept.of_call(exchange(added=(("ticket", "1"),)), NOON)
    assert kept.of_call(exchange(added=(("ticket", "2"),)), NOON) == (counter,)
    assert len(kept._known) == 1


def test_a_credit_raises_the_cap_of_a_balance() -> None:
    kept = Book(rules(), "p1", lambda: NOON)
    kept.rules = type(kept.rules)(**{**_members(kept), "balances": True})
    (balance,) = kept.of_call(exchange(), NOON)
    assert balance.key == "balance/total/alice"
    kept.credited("alice", 42)
    kept.credited("bob", 42)
    assert balance.cap == 42
    assert kept.balance("bob") is None


def _members(kept: Book) -> dict[str, object]:
    return {name: getattr(kept.rules, name) for name in kept.rules.__struct_fields__}


def test_reached_thresholds_are_reported() -> None:
    kept, told = book(DAILY), []
    kept.crossed = told.append
    (counter,) = kept.of_call(exchange(), NOON)
    counter.spent = counter.next_at - 1
    kept.charged([(counter, 0, 1)])
    counter.spent += 1
    kept.charged([(counter, 1, 0)])
    assert told == []
    kept.charged([(counter, 0, 1)])
    assert told == [counter]


class _Down:
    async def seed(self, counters: Sequence[BudgetCounter]) -> None:
        raise SeedsUnavailable("no answer")


async def test_without_seeds_calls_are_counted_from_nothing_or_refused() -> None:
    kept = book(DAILY)
    kept.seeder = _Down()
    (counter,) = kept.of_call(exchange(ALICE), NOON)
    assert not counter.seeded
    await kept.seed([counter])
    kept.refuses_unseeded = True
    with pytest.raises(Overloaded, match="cannot be read"):
        await kept.seed([counter])


def test_a_client_has_the_counters_of_its_next_call() -> None:
    kept = book(DAILY, RUNS)
    assert kept.of_client(ALICE, (), "", NOON) == kept.of_call(exchange(), NOON)
    called = kept.of_call(exchange(run="b", parent="a"), NOON)
    assert kept.of_client(ALICE, (), "b", NOON) == called
    (prod,) = book({"name": "env", "per": "label:env", "usd": 1}).of_client(ALICE, (("env", "prod"),), "", NOON)
    assert prod.subject == "prod"


def test_a_run_that_its_client_caps_is_among_those_of_the_client() -> None:
    kept = book()
    capped = kept.of_call(exchange(run="a", cap=5), NOON)
    assert kept.of_client(ALICE, (), "a", NOON) == capped
    assert kept.of_client(ALICE, (), "b", NOON) == ()


def test_no_two_payers_share_a_run() -> None:
    """An owner may have slashes, and so may the name of a run."""
    kept = book(RUNS)
    named = [("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"), ("", "a/b/c")]
    found = [kept.of_call(exchange(Client("key:1", owner=owner), run=run), NOON) for owner, run in named]
    assert len({counter.key for (counter,) in found}) == 4
    assert found[1][0].key == "runs/run/a%2Fb/c"
    assert kept.of_client(Client("key:1", owner="a/b"), (), "c", NOON) == found[1]
