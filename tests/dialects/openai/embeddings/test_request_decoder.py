"""Requests for embeddings, decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import EmbeddingCreateParams

from proxy.dialects.openai.embeddings.request_decoder import decode_texts
from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.errors import ClientFault, Untranslatable, WrongMember
from proxy.wire.criteria import FIELDS


def decoded(**request: Any) -> EmbeddingRequest:
    return decode_texts(json.dumps({"model": "m", "input": "Hi"} | request).encode())


def refused(kind: type[ClientFault], **request: Any) -> str | None:
    with pytest.raises(kind) as caught:
        decoded(**request)
    assert type(caught.value) is kind
    return caught.value.param


def test_a_text_and_a_list_of_texts_are_taken() -> None:
    assert decoded() == EmbeddingRequest(["Hi"])
    assert decoded(input=["a", "", "a"]).texts == ["a", "", "a"]


def test_settings_are_read() -> None:
    found = decoded(dimensions=256, encoding_format="base64")
    assert (found.dimensions, found.packed, found.dropped) == (256, True, ())
    assert not decoded(encoding_format="float").packed
    assert decoded(dimensions=None, encoding_format=None, user=None) == EmbeddingRequest(["Hi"])


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]], ["a", 1]])
def test_token_ids_are_refused_as_they_belong_to_a_tokenizer(tokens: Any) -> None:
    assert refused(Untranslatable, input=tokens) == "input"


def test_an_image_of_another_server_is_refused() -> None:
    assert refused(Untranslatable, input=["a", {"image_url": "http://a"}]) == "input[1]"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a", None]}, "input[1]"),
        ({"input": ["a", True]}, "input[1]"),
        ({"dimensions": "3"}, "dimensions"),
        ({"dimensions": 1.5}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"encoding_format": 1}, "encoding_format"),
    ],
)
def test_a_wrong_member_is_named(request_: dict[str, Any], param: str) -> None:
    assert refused(WrongMember, **request_) == param


@pytest.mark.parametrize("body", [b"[]", b"1", b"{"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ClientFault, match="JSON"):
        decode_texts(body)


def test_each_member_of_the_sdk_is_read_or_told() -> None:
    for name in EmbeddingCreateParams.__annotations__.keys() - {"model", "input", "dimensions", "encoding_format"}:
        assert decoded(**{name: "x"}).dropped == (name,)


@pytest.mark.parametrize("member", ["user", "input_type", "truncate"])
def test_a_member_that_no_other_api_has_is_told(member: str) -> None:
    assert decoded(**{member: "x"}).dropped == (member,)


def test_members_for_the_gateway_are_not_told() -> None:
    assert decoded(**dict.fromkeys(FIELDS, 1)).dropped == ()


@pytest.mark.parametrize(("stream", "dropped"), [(True, ("stream",)), (False, ())])
def test_a_stream_of_vectors_is_told(stream: bool, dropped: tuple[str, ...]) -> None:
    assert decoded(stream=stream).dropped == dropped
