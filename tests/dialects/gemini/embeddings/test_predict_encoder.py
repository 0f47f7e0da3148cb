"""Texts as a request of ``predict``."""

from __future__ import annotations

import pytest

from proxy.dialects.gemini.embeddings.predict_encoder import MOST_INSTANCES, encode_instances
from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.errors import Untranslatable


def test_each_text_is_an_instance() -> None:
    assert encode_instances(EmbeddingRequest(["a", "b"], 3), "up") == {
        "instances": [{"content": "a"}, {"content": "b"}],
        "parameters": {"autoTruncate": False, "outputDimensionality": 3},
    }


def test_more_texts_than_a_request_may_have_are_refused() -> None:
    assert encode_instances(EmbeddingRequest(["a"] * MOST_INSTANCES), "up")["parameters"] == {"autoTruncate": False}
    with pytest.raises(Untranslatable) as caught:
        encode_instances(EmbeddingRequest(["a"] * (MOST_INSTANCES + 1)), "up")
    assert caught.value.param == "input"
