"""Texts as a request of ``batchEmbedContents``."""

from __future__ import annotations

import pytest

from proxy.dialects.gemini.embeddings.request_encoder import MOST_TEXTS, encode_contents
from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.errors import Untranslatable


def test_each_text_is_a_content_of_its_own() -> None:
    """Texts in one content would get one vector."""
    assert encode_contents(EmbeddingRequest(["a", "b"]), "up") == {
        "requests": [
            {"model": "models/up", "content": {"parts": [{"text": "a"}]}},
            {"model": "models/up", "content": {"parts": [{"text": "b"}]}},
        ]
    }


def test_each_request_has_the_settings() -> None:
    found = encode_contents(EmbeddingRequest(["a", "b"], 3, packed=True), "tunedModels/up")
    assert [(each["model"], each["outputDimensionality"]) for each in found["requests"]] == [("tunedModels/up", 3)] * 2


def test_more_texts_than_a_request_may_have_are_refused() -> None:
    assert len(encode_contents(EmbeddingRequest(["a"] * MOST_TEXTS), "up")["requests"]) == MOST_TEXTS
    with pytest.raises(Untranslatable) as caught:
        encode_contents(EmbeddingRequest(["a"] * (MOST_TEXTS + 1)), "up")
    assert caught.value.param == "input"
