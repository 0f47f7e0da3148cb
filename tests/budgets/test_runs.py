"""The parents of runs: their order, their bounds, and cycles that a client may claim."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets.runs import DEEPEST, Lineage

NAMES = st.sampled_from("abcdefghijklmnop")


def test_a_run_without_a_parent_stands_alone() -> None:
    lineage = Lineage()
    lineage.seen("a", "", 0.0)
    assert lineage.ancestors("a") == ("a",)
    assert len(lineage) == 0


def test_a_sub_agent_counts_up_to_the_root() -> None:
    lineage = Lineage()
    lineage.seen("child", "root", 0.0)
    lineage.seen("grandchild", "child", 1.0)
    assert lineage.ancestors("grandchild") == ("grandchild", "child", "root")
    assert lineage.ancestors("child") == ("child", "root")
    assert lineage.ancestors("root") == ("root",)


def test_a_call_without_parent_keeps_the_known_one() -> None:
    lineage = Lineage()
    lineage.seen("child", "root", 0.0)
    lineage.seen("child", "", 1.0)
    assert lineage.ancestors("child") == ("child", "root")


def test_a_run_is_not_its_own_parent() -> None:
    lineage = Lineage()
    lineage.seen("a", "a", 0.0)
    assert lineage.ancestors("a") == ("a",)


def test_a_cycle_ends_before_it_repeats() -> None:
    lineage = Lineage()
    for run, parent in ("ab", "bc", "ca"):
        lineage.seen(run, parent, 0.0)
    assert lineage.ancestors("a") == ("a", "b", "c")


def test_a_long_line_is_cut() -> None:
    lineage = Lineage()
    for number in range(20):
        lineage.seen(str(number), str(number + 1), 0.0)
    assert lineage.ancestors("0") == tuple(map(str, range(DEEPEST)))


def test_a_run_is_forgotten_after_a_day_without_calls() -> None:
    lineage = Lineage()
    lineage.seen("child", "root", 0.0)
    lineage.seen("other", "root", 24 * 3600.0 - 1)
    assert lineage.ancestors("child") == ("child", "root")
    lineage.seen("other", "root", 24 * 3600.0)
    assert lineage.ancestors("child") == ("child",)
    assert lineage.ancestors("other") == ("other", "root")


def test_the_calls_of_a_sub_agent_keep_the_whole_line() -> None:
    lineage = Lineage(idle=10.0)
    lineage.seen("child", "root", 0.0)
    lineage.seen("grandchild", "child", 9.0)
    lineage.seen("grandchild", "child", 18.0)
    assert lineage.ancestors("grandchild") == ("grandchild", "child", "root")


def test_the_run_that_is_idle_the_longest_makes_room() -> None:
    lineage = Lineage(most=2)
    lineage.seen("a", "root", 0.0)
    lineage.seen("b", "root", 1.0)
    lineage.seen("a", "", 2.0)
    lineage.seen("c", "root", 3.0)
    assert [len(lineage.ancestors(run)) for run in "abc"] == [2, 1, 2]


@given(st.lists(st.tuples(NAMES, NAMES | st.just(""), st.floats(0.0, 20.0)), max_size=60))
def test_whatever_clients_claim_a_line_is_bounded_and_without_repetition(calls: list[tuple[str, str, float]]) -> None:
    lineage = Lineage(most=5, idle=30.0)
    now = 0.0
    for run, parent, later in calls:
        now += later
        lineage.seen(run, parent, now)
        assert len(lineage) <= 5
        for name in "abcdefghijklmnop":
            line = lineage.ancestors(name)
            assert line[0] == name
            assert len(line) == len(set(line)) <= DEEPEST
