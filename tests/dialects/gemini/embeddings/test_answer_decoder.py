"""Answers of ``embedContent`` and ``batchEmbedContents``, decoded."""

from __future__ import annotations

import json

import pytest

from proxy.dialects.gemini.embeddings.answer_decoder import decode_vectors
from proxy.dialects.translation.embeddings import EmbeddingAnswer
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer


def test_vectors_are_read_in_order() -> None:
    found = decode_vectors(json.dumps({"embeddings": [{"values": [0.5, 1]}, {"values": [2]}]}).encode())
    assert found == EmbeddingAnswer([[0.5, 1.0], [2.0]])


def test_a_usage_is_read_where_there_is_one() -> None:
    body = {"embedding": {"values": [1]}, "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}
    assert decode_vectors(json.dumps(body).encode()) == EmbeddingAnswer([[1.0]], Usage(4))
    assert decode_vectors(json.dumps(body | {"usageMetadata": {}}).encode()).usage is None


@pytest.mark.parametrize(
    "broken",
    [b"", b"[]", b'{"embeddings":[{}]}', b'{"embeddings":[{"values":["a"]}]}', b'{"embedding":{"values":[NaN]}}'],
)
def test_anything_but_vectors_is_a_broken_answer(broken: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        decode_vectors(broken)
