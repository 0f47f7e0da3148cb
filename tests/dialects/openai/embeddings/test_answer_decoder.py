"""Answers with embeddings, decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.openai.embeddings.answer_decoder import decode_embeddings
from proxy.dialects.translation.embeddings import EmbeddingAnswer
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer
from tests.support.recorded import SHARED


def body(*items: Any, **members: Any) -> bytes:
    return json.dumps({"object": "list", "data": list(items)} | members).encode()


def item(number: float, **members: Any) -> dict[str, Any]:
    return {"object": "embedding", "embedding": [number, 0]} | members


def test_vectors_usage_and_model_are_read() -> None:
    found = decode_embeddings(body(item(0.5, index=0), model="up", usage={"prompt_tokens": 4, "total_tokens": 4}))
    assert found == EmbeddingAnswer([[0.5, 0.0]], Usage(4), "up")


def test_what_the_provider_does_not_report_is_unknown() -> None:
    assert decode_embeddings(body(item(1))) == EmbeddingAnswer([[1.0, 0.0]])
    assert decode_embeddings(body(item(1), usage=None)).usage is None


@pytest.mark.parametrize(
    "indices",
    [
        [{"index": 2}, {"index": 0}, {"index": 1}],
        [{"index": 2}, {}, {"index": 1}],  # encoders of protobuf leave out 0
    ],
)
def test_vectors_are_put_in_the_order_of_the_texts(indices: list[dict[str, int]]) -> None:
    items = [item(0.25 * index.get("index", 0), **index) for index in indices]
    assert decode_embeddings(body(*items)).vectors == [[0.0, 0.0], [0.25, 0.0], [0.5, 0.0]]


def test_vectors_without_any_index_are_in_order_already() -> None:
    assert decode_embeddings(body(item(2), item(1))).vectors == [[2.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize("indices", [(0, 0), (1, 2), (-1, 0), (0, 2)])
def test_indices_that_are_no_order_break_the_answer(indices: tuple[int, ...]) -> None:
    with pytest.raises(BrokenAnswer, match="which embedding"):
        decode_embeddings(body(*(item(1, index=index) for index in indices)))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data":[{"embedding":"AAAA"}]}',
        b'{"data":[{"embedding":[null]}]}',
        b'{"data":[{"embedding":[NaN]}]}',
        b'{"data":[{"embedding":[1e999]}]}',
        b'{"data":[{}]}',
        b'{"data":' + b"[" * 100_000,
    ],
)
def test_anything_but_vectors_is_a_broken_answer(broken: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        decode_embeddings(broken)


def test_a_recorded_answer_is_read() -> None:
    path = SHARED / "translate" / "apisix" / "t" / "fixtures" / "openai" / "embeddings-list.json"
    if not path.exists():
        pytest.skip("no recorded traffic")
    found = decode_embeddings(path.read_bytes())
    assert [len(vector) for vector in found.vectors] == [3]
    assert (found.usage, found.model) == (Usage(8), "text-embedding-ada-002")
