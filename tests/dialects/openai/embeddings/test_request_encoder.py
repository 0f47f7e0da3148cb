"""Texts as a request for embeddings."""

from __future__ import annotations

from proxy.dialects.openai.embeddings.request_encoder import encode_texts
from proxy.dialects.translation.embeddings import EmbeddingRequest


def test_one_text_stands_alone_and_several_in_a_list() -> None:
    assert encode_texts(EmbeddingRequest(["a"]), "up") == {"model": "up", "input": "a"}
    assert encode_texts(EmbeddingRequest(["a", "b"]), "up") == {"model": "up", "input": ["a", "b"]}


def test_numbers_are_asked_for_whatever_the_client_wants() -> None:
    """Not every server has the base64 form."""
    found = encode_texts(EmbeddingRequest(["a"], 256, packed=True), "up")
    assert found == {"model": "up", "input": "a", "dimensions": 256}
