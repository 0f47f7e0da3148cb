"""Requests of ``embedContent`` and ``batchEmbedContents``, decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai.types import EmbedContentConfig

from proxy.dialects.gemini.embeddings.request_decoder import decode_content, decode_contents
from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.errors import ClientFault, Untranslatable, WrongMember

IMAGE = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}


def content(*parts: Any, **members: Any) -> dict[str, Any]:
    """One request; a str is a part with this text."""
    made = [{"text": part} if isinstance(part, str) else part for part in parts]
    return {"model": "models/m", "content": {"parts": made}} | members


def one(*parts: Any, **members: Any) -> EmbeddingRequest:
    return decode_content(json.dumps(content(*parts, **members)).encode())


def batch(*requests: Any, **members: Any) -> EmbeddingRequest:
    return decode_contents(json.dumps({"requests": list(requests)} | members).encode())


def test_one_text_and_several_are_taken_in_order() -> None:
    assert one("Hi") == EmbeddingRequest(["Hi"])
    assert batch(content("b"), content("a")) == EmbeddingRequest(["b", "a"])


def test_texts_of_one_content_are_one_text() -> None:
    assert one("a", "b").texts == ["a\nb"]


@pytest.mark.parametrize(
    "settings",
    [
        {"outputDimensionality": 3},
        {"output_dimensionality": 3},
        {"embedContentConfig": {"outputDimensionality": 3}},
        {"embed_content_config": {"output_dimensionality": 3}},
    ],
)
def test_dimensions_are_read_in_each_spelling_and_place(settings: dict[str, Any]) -> None:
    for found in (one("a", **settings), batch(content("a", **settings), content("b", **settings))):
        assert (found.dimensions, found.dropped) == (3, ())


def test_dimensions_that_differ_are_refused() -> None:
    with pytest.raises(Untranslatable) as caught:
        batch(content("a", outputDimensionality=3), content("b"))
    assert caught.value.param == "requests[].outputDimensionality"


def test_settings_that_no_other_api_has_are_told() -> None:
    assert one("a", taskType="CLUSTERING", title="T", newest=1).dropped == ("taskType", "title", "newest")
    assert batch(content("a", taskType="CLUSTERING"), content("b", taskType="CLUSTERING"), more=1).dropped == (
        "more",
        "requests[].taskType",
    )


def test_each_setting_of_the_sdk_is_read_or_told() -> None:
    for name in EmbedContentConfig.model_fields.keys() - {"http_options", "output_dimensionality"}:
        assert one("a", embedContentConfig={name: "x"}).dropped == (f"embedContentConfig.{name}",)


def test_what_says_nothing_of_the_text_is_no_loss() -> None:
    found = decode_content(
        json.dumps({"content": {"role": "user", "parts": [{"text": "a", "thought": None}]}, "title": None}).encode()
    )
    assert found.dropped == ()


def test_members_beside_a_text_are_told() -> None:
    assert one({"text": "a", "thought": True}).dropped == ("content.parts[].thought",)
    assert batch(content({"text": "a", "thought": True})).dropped == ("requests[].content.parts[].thought",)


def test_what_is_no_text_is_refused_by_its_name() -> None:
    with pytest.raises(Untranslatable) as caught:
        one("a", IMAGE)
    assert caught.value.param == "content.parts[1].inlineData"
    with pytest.raises(Untranslatable) as caught:
        batch(content("a"), content({"file_data": {"fileUri": "gs://a"}}))
    assert caught.value.param == "requests[1].content.parts[0].file_data"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "content"),
        ({"content": "a"}, "content"),
        ({"content": {}}, "content.parts"),
        ({"content": {"parts": []}}, "content.parts"),
        ({"content": {"parts": ["a"]}}, "content.parts[0]"),
        ({"content": {"parts": [{}]}}, "content.parts[0].text"),
        ({"content": {"parts": [{"text": 1}]}}, "content.parts[0].text"),
        (content("a", outputDimensionality="3"), "outputDimensionality"),
        (content("a", embedContentConfig={"outputDimensionality": "3"}), "embedContentConfig.outputDimensionality"),
        (content("a", embedContentConfig=3), "embedContentConfig"),
    ],
)
def test_a_wrong_member_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(WrongMember) as caught:
        decode_content(json.dumps(body).encode())
    assert caught.value.param == param
    with pytest.raises(WrongMember) as caught:
        batch(content("a"), body)
    assert caught.value.param == f"requests[1].{param}"


@pytest.mark.parametrize("body", [{}, {"requests": []}, {"requests": "a"}, {"requests": [1]}])
def test_a_batch_without_requests_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(WrongMember):
        decode_contents(json.dumps(body).encode())


@pytest.mark.parametrize("decode", [decode_content, decode_contents])
def test_a_body_that_is_no_object_is_refused(decode: Any) -> None:
    with pytest.raises(ClientFault, match="JSON object"):
        decode(b"[]")
