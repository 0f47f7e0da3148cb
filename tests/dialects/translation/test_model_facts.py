from __future__ import annotations

import pytest

from proxy.dialects.translation.model_facts import ModelFacts


@pytest.mark.parametrize(
    ("facts", "taken"),
    [
        (ModelFacts(), {"": True, "none": True, "high": True}),
        (ModelFacts(sampling=False), {"": False, "none": False, "high": False}),
        (ModelFacts(sampling=False, sampling_at_none=True), {"": False, "none": True, "high": False}),
        (
            ModelFacts(sampling=False, sampling_at_none=True, default_effort="none"),
            {"": True, "none": True, "high": False},
        ),
    ],
)
def test_sampling_may_depend_on_the_effort(facts: ModelFacts, taken: dict[str, bool]) -> None:
    assert {effort: facts.takes_sampling(effort) for effort in taken} == taken
