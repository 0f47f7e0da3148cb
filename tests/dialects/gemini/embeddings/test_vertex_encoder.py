"""Texts as requests of Vertex AI."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.genai import types
from google.genai.models import _EmbedContentParametersPrivate_to_vertex

from proxy.dialects.gemini.embeddings.vertex_encoder import encode_batch, encode_only
from proxy.dialects.translation.embeddings import EmbeddingRequest


def of_sdk(**members: Any) -> dict[str, Any]:
    """The body that Google's SDK makes."""
    config = types.EmbedContentConfig(output_dimensionality=3, auto_truncate=False)
    parameters = types._EmbedContentParametersPrivate(model="up", config=config, **members)
    client: Any = SimpleNamespace(vertexai=True)  # a real one takes long to make
    body = _EmbedContentParametersPrivate_to_vertex(client, parameters, None, parameters)
    body.pop("_url")
    return body


@pytest.mark.parametrize("texts", [["a"], ["a", "b"]])
def test_bodies_are_those_of_googles_sdk(texts: list[str]) -> None:
    contents = [types.UserContent(text) for text in texts]
    batch = of_sdk(batch_contents=contents, embedding_api_type=types.EmbeddingApiType.BATCH_EMBED_CONTENTS)
    one = of_sdk(content=contents[0], embedding_api_type=types.EmbeddingApiType.EMBED_CONTENT)
    request = EmbeddingRequest(texts, 3)
    assert encode_only(request, "up") == one
    assert [each["content"] for each in encode_batch(request, "up")["requests"]] == [
        each["content"] for each in batch["requests"]
    ]
    assert all(
        each["embedContentConfig"] == one["embedContentConfig"] for each in encode_batch(request, "up")["requests"]
    )


def test_a_text_that_is_too_long_is_never_cut_in_silence() -> None:
    assert encode_only(EmbeddingRequest(["a"]), "up")["embedContentConfig"] == {"autoTruncate": False}
