"""Cached answers."""

from __future__ import annotations

from tests.cache.answers import NOON, answer_of


def test_an_answer_is_kept_while_it_is_fresh_and_stale() -> None:
    assert answer_of(ttl=60.0, stale=5.0).kept_until == NOON + 65


def test_the_groups_of_an_answer() -> None:
    assert answer_of(model="m", name="m").facts.groups == ("model m",)
    assert answer_of(model="best", name="m", tags=("a", "b")).facts.groups == (
        "model best",
        "model m",
        "tag a",
        "tag b",
    )
