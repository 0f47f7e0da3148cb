"""Pages of models in the shapes of Anthropic and Google."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientFault
from proxy.routing.native_listing import ListedModel, anthropic_model, anthropic_page, gemini_model, gemini_page

ENDPOINTS = frozenset({"generateContent", "streamGenerateContent", "countTokens", "messages"})
MODELS = [ListedModel(f"m{number}", ENDPOINTS) for number in range(5)]
CREATED = 1_700_000_000


def page(query: str = "", models: list[ListedModel] = MODELS) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(anthropic_page(models, CREATED, query))
    return found


def ids(query: str) -> tuple[list[str], bool]:
    found = page(query)
    return [model["id"] for model in found["data"]], found["has_more"]


def google(query: str = "") -> tuple[list[str], str | None]:
    found = json.loads(gemini_page(MODELS, query))
    return [model["name"] for model in found["models"]], found.get("nextPageToken")


def test_a_model_of_anthropic_has_its_shape() -> None:
    model = ListedModel("claude", ENDPOINTS, 200_000, 64_000)
    assert json.loads(anthropic_model(model, CREATED)) == {
        "type": "model",
        "id": "claude",
        "display_name": "claude",
        "created_at": "2023-11-14T22:13:20Z",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def test_a_model_of_google_has_its_shape() -> None:
    model = ListedModel("gemini", ENDPOINTS, 1_000_000, 65_536)
    assert json.loads(gemini_model(model)) == {
        "name": "models/gemini",
        "version": "",
        "displayName": "gemini",
        "inputTokenLimit": 1_000_000,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


@pytest.mark.parametrize(
    ("query", "found", "more"),
    [
        ("", ["m0", "m1", "m2", "m3", "m4"], False),
        ("limit=1000", ["m0", "m1", "m2", "m3", "m4"], False),
        ("limit=2", ["m0", "m1"], True),
        ("limit=2&after_id=m1", ["m2", "m3"], True),
        ("limit=2&after_id=m3", ["m4"], False),
        ("after_id=m4", [], False),
        ("limit=2&before_id=m4", ["m2", "m3"], True),
        ("limit=2&before_id=m2", ["m0", "m1"], False),
        ("limit=5000", ["m0", "m1", "m2", "m3", "m4"], False),
        ("unknown=1&limit=1", ["m0"], True),
    ],
)
def test_anthropics_list_has_pages(query: str, found: list[str], more: bool) -> None:
    assert ids(query) == (found, more)


def test_a_page_names_its_first_and_last_model() -> None:
    assert (page("limit=2")["first_id"], page("limit=2")["last_id"]) == ("m0", "m1")
    assert (page(models=[])["first_id"], page(models=[])["last_id"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "found", "token"),
    [
        ("", ["m0", "m1", "m2", "m3", "m4"], None),
        ("pageSize=2", ["m0", "m1"], "m1"),
        ("pageSize=2&pageToken=m1", ["m2", "m3"], "m3"),
        ("pageSize=2&pageToken=m3", ["m4"], None),
        ("pageToken=", ["m0", "m1", "m2", "m3", "m4"], None),
    ],
)
def test_googles_list_has_pages(query: str, found: list[str], token: str | None) -> None:
    assert google(query) == ([f"models/{name}" for name in found], token)


@given(st.integers(1, 7))
def test_the_pages_together_are_the_list(size: int) -> None:
    seen: list[str] = []
    after, more = "", True
    while more:
        names, more = ids(f"limit={size}{after}")
        seen += names
        after = f"&after_id={names[-1]}"
    assert seen == [model.name for model in MODELS]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=99999999999", "limit=%C2%B2", "after_id=none"]
)
def test_a_wrong_parameter_is_named(query: str) -> None:
    with pytest.raises(ClientFault) as caught:
        anthropic_page(MODELS, CREATED, query)
    assert (caught.value.status, caught.value.param) == (400, query.partition("=")[0])


def test_a_query_with_many_parameters_is_refused() -> None:
    with pytest.raises(ClientFault, match="more than 20"):
        gemini_page(MODELS, "&".join("a=1" for _ in range(21)))
