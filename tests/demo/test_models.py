from __future__ import annotations

import pytest

from proxy.demo.models import MODELS, find


def test_every_name_of_the_table_is_found() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert find(model.name) == (model, model.number or 0.0)
        assert model.description


def test_the_first_model_has_no_fault() -> None:
    assert MODELS[0].name == "demo"
    assert MODELS[0].fault is None


@pytest.mark.parametrize(
    ("name", "base", "number"),
    [
        ("demo-slow-start-3", "demo-slow-start", 3),
        ("demo-429-0.5", "demo-429", 0.5),
        ("demo-comments-12", "demo-comments", 12),
    ],
)
def test_a_number_after_the_name_is_the_parameter_of_the_fault(name: str, base: str, number: float) -> None:
    assert find(name) == (find(base)[0], number)


@pytest.mark.parametrize("name", ["", "demo-", "demo-7", "demo-500-1", "demo-slow-start-", "demo-slow-start--1",
                                  "demo-slow-start-1e9", "demo-slow-start-99999", "Demo"])  # fmt: skip
def test_other_names_are_not_models(name: str) -> None:
    assert find(name) is None
