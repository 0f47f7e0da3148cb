from __future__ import annotations

import pytest

from proxy.dialects.translation.effort import EFFORTS
from proxy.providers.models.gemini import GEMINI, GENERATIONS, NEWEST, UNKNOWN_AT_GOOGLE


@pytest.mark.parametrize("name", GEMINI)
def test_a_model_thinks_by_budget_or_by_level_but_not_by_both(name: str) -> None:
    facts = GEMINI[name]
    assert facts.thinking in ("none", "budget", "adaptive")
    assert set(facts.efforts or ()) <= set(EFFORTS)
    assert bool(facts.efforts) is (facts.thinking != "none")
    assert facts.default_effort in ("", *(facts.efforts or ()))
    least, most = facts.budgets
    assert 0 < least < most


@pytest.mark.parametrize("name", [name for name in GEMINI if name >= "gemini-3"])
def test_every_model_since_gemini_3_needs_signatures_and_always_thinks(name: str) -> None:
    facts = GEMINI[name]
    assert (facts.thought_signatures, facts.thinking, facts.thinking_off) == (True, "adaptive", "no")
    assert "none" not in (facts.efforts or ())
    assert facts.json_schemas
    assert facts.media_in_results
    assert facts.format_with_tools


@pytest.mark.parametrize("beginning", [each for each in GENERATIONS if each != "gemini-"])
def test_a_version_that_is_not_known_takes_what_all_of_its_generation_take(beginning: str) -> None:
    facts = GENERATIONS[beginning]
    for each in (each for name, each in GEMINI.items() if name.startswith(beginning)):
        if "adaptive" in (facts.thinking, each.thinking):
            assert set(facts.efforts or ()) <= set(each.efforts or ())
        assert facts.refuses >= each.refuses
        assert each.thinking_off == "yes" or facts.thinking_off == "no"


def test_a_new_generation_takes_what_the_newest_takes() -> None:
    assert (NEWEST.sampling, NEWEST.prefill, NEWEST.efforts) == (False, False, ("low", "medium", "high"))


def test_nothing_is_assumed_of_a_model_that_is_no_gemini() -> None:
    assert (UNKNOWN_AT_GOOGLE.thinking, UNKNOWN_AT_GOOGLE.efforts, UNKNOWN_AT_GOOGLE.thought_signatures) == (
        "none",
        (),
        False,
    )
