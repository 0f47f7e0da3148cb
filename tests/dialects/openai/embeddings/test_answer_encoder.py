"""Vectors as answers, as the openai package reads them."""

from __future__ import annotations

import json
import struct
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.embeddings.answer_encoder import encode_embeddings, packed
from proxy.dialects.translation.embeddings import EmbeddingAnswer, EmbeddingRequest
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer
from tests.support.openai_sdk import client
from tests.support.recorded import SHARED

TWO = EmbeddingAnswer([[0.5, -1.0], [0.1, 3e-9]], Usage(4), "up")


def test_numbers_are_those_of_the_provider() -> None:
    with client(encode_embeddings(EmbeddingRequest(["a", "b"]), TWO)) as sdk:
        found = sdk.embeddings.create(model="m", input=["a", "b"], encoding_format="float")
    assert [item.embedding for item in found.data] == TWO.vectors
    assert [(item.index, item.object) for item in found.data] == [(0, "embedding"), (1, "embedding")]
    assert (found.model, found.object) == ("up", "list")
    assert (found.usage.prompt_tokens, found.usage.total_tokens) == (4, 4)


def test_the_sdk_reads_the_base64_that_it_asks_for() -> None:
    with client(encode_embeddings(EmbeddingRequest(["a", "b"], packed=True), TWO)) as sdk:
        found = sdk.embeddings.create(model="m", input=["a", "b"])
    assert [item.embedding for item in found.data] == [pytest.approx(vector, rel=1e-6) for vector in TWO.vectors]


@pytest.mark.parametrize("usage", [None, Usage(None, None, 3)])
def test_an_unknown_usage_is_0_as_clients_require_numbers(usage: Usage | None) -> None:
    body = encode_embeddings(EmbeddingRequest(["a"]), EmbeddingAnswer([[1.0]], usage, "up"))
    assert b'"usage":{"prompt_tokens":0,"total_tokens":0}' in body


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=50))
def test_base64_holds_every_number_of_32_bits(vector: list[float]) -> None:
    data = b64decode(packed(vector), validate=True)
    assert len(data) == 4 * len(vector)
    assert [number for (number,) in struct.iter_unpack("<f", data)] == vector


def test_base64_is_that_of_openai() -> None:
    path = SHARED / "wire" / "openai" / "embeddings-base64.response.json"
    if not path.exists():
        pytest.skip("no recorded traffic")
    (item,) = json.loads(path.read_bytes())["data"]
    vector = [number for (number,) in struct.iter_unpack("<f", b64decode(item["embedding"]))]
    assert packed(vector) == item["embedding"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_other_numbers_are_rounded_or_break_the_answer(number: float) -> None:
    try:
        expected = struct.pack("<f", number)
    except OverflowError:
        with pytest.raises(BrokenAnswer, match="32 bits"):
            packed([number])
    else:
        assert b64decode(packed([number])) == expected
