"""The tables in the README have exactly what the tests of this folder prove."""

from __future__ import annotations

from tests.translation import (
    test_answer_losses,
    test_counting,
    test_failures,
    test_losses,
    test_reasoning,
)
from tests.translation.cases import CASES
from tests.translation.cells import PAIRS, Pair
from tests.translation.readme import tables

FLOWS = tuple(flow.PROVEN for flow in (test_answer_losses, test_counting, test_failures, test_losses, test_reasoning))


def proven() -> dict[str, dict[Pair, set[str]]]:
    """The words for each feature and pair, of all cases and flows."""
    found: dict[str, dict[Pair, set[str]]] = {}
    for case in CASES:
        found.setdefault(case.row, {}).setdefault(case.pair, set()).add(case.word)
    for flows in FLOWS:
        for row, words in flows.items():
            for pair, word in words.items():
                found.setdefault(row, {}).setdefault(pair, set()).add(word)
    return found


def test_the_cases_of_a_cell_agree() -> None:
    several = [(row, pair, words) for row, cells in proven().items() for pair, words in cells.items() if len(words) > 1]
    assert several == []


def test_the_readme_says_what_the_tests_prove() -> None:
    assert {row: {pair: {word} for pair, word in words.items()} for row, words in tables().items()} == proven()


def test_the_pairs_are_those_of_the_readme() -> None:
    assert set(PAIRS) == {pair for words in tables().values() for pair in words}


def test_names_of_cases_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
