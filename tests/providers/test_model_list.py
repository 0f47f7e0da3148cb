from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.kinds import kind_of
from proxy.providers.model_list import ModelList, ModelPage, NotAList

LISTS = [kind_of(kind).model_list for kind in ("openai", "anthropic", "gemini")]


def read(kind: str, found: Any) -> ModelPage:
    return kind_of(kind).model_list.read(json.dumps(found).encode())


def test_openais_list_may_be_an_array() -> None:
    assert read("openai", [{"id": "b"}, {"id": "a"}]) == ModelPage(["b", "a"])
    assert read("openai", {"data": [{"id": "b"}]}) == ModelPage(["b"])


def test_the_next_page_of_anthropics_list_follows_the_last_id() -> None:
    page = {"data": [{"id": "a b"}], "has_more": True, "last_id": None}
    assert read("anthropic", page) == ModelPage(["a b"], "limit=1000&after_id=a%20b")
    assert read("anthropic", page | {"has_more": False}) == ModelPage(["a b"])
    assert read("anthropic", {"data": [], "has_more": True}) == ModelPage([])


def test_a_list_of_azure_names_no_deployments() -> None:
    assert [kind_of(kind).model_list.complete for kind in ("openai", "azure")] == [True, False]


@pytest.mark.parametrize("models", LISTS)
def test_a_list_that_is_nested_without_end_is_none(models: ModelList) -> None:
    for member in (b"data", b"models"):
        with pytest.raises(NotAList):
            models.read(b'{"' + member + b'":[{"id":"x","y":' + b"[" * 1_000_000)


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda name, value: json.dumps({name: value}).encode(),
        st.sampled_from(["data", "models"]),
        st.recursive(st.none() | st.text() | st.integers(), st.lists),
    )
)
def test_any_answer_at_all_is_a_list_of_names_or_none(body: bytes) -> None:
    for models in LISTS:
        try:
            assert all(isinstance(name, str) for name in models.read(body).names)
        except NotAList:
            pass
