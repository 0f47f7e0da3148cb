"""Vectors as answers of ``embedContent`` and ``batchEmbedContents``."""

from __future__ import annotations

import json

import pytest

from proxy.dialects.gemini.embeddings.answer_encoder import encode_vector, encode_vectors
from proxy.dialects.translation.embeddings import EmbeddingAnswer, EmbeddingRequest
from proxy.dialects.usage import Usage

COUNTS = {"promptTokenCount": 4, "totalTokenCount": 4}


def test_one_vector_has_a_member_of_its_own() -> None:
    found = json.loads(encode_vector(EmbeddingRequest(["a"]), EmbeddingAnswer([[0.5]], Usage(4))))
    assert found == {"embedding": {"values": [0.5]}, "usageMetadata": COUNTS}


def test_the_vectors_of_a_batch_are_a_list() -> None:
    found = json.loads(encode_vectors(EmbeddingRequest(["a", "b"]), EmbeddingAnswer([[0.5], [1.0]], Usage(3, 1))))
    assert found == {"embeddings": [{"values": [0.5]}, {"values": [1.0]}], "usageMetadata": COUNTS}


@pytest.mark.parametrize("usage", [None, Usage(None, None, 3)])
def test_an_unknown_usage_is_left_out(usage: Usage | None) -> None:
    assert b"usage" not in encode_vector(EmbeddingRequest(["a"]), EmbeddingAnswer([[0.5]], usage))
