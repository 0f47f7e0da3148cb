from __future__ import annotations

from typing import Any

import pytest
from google.genai import types
from google.genai.client import AsyncClient

from tests.support import RawClient

EMBED = "/v1beta/models/demo-embedding:embedContent"


async def test_each_text_has_a_vector_that_depends_on_it(google: AsyncClient) -> None:
    found = await google.models.embed_content(model="demo-embedding", contents=["a", "b", "a"])
    first, second, third = (each.values for each in found.embeddings)
    assert first == third != second
    assert sum(value * value for value in first) == pytest.approx(1)


async def test_the_number_of_dimensions_can_be_chosen(google: AsyncClient) -> None:
    config = types.EmbedContentConfig(output_dimensionality=3)
    found = await google.models.embed_content(model="demo-embedding", contents="a", config=config)
    assert len(found.embeddings[0].values) == 3


async def test_one_content_has_one_embedding_and_counts_its_words(raw: RawClient) -> None:
    answer = await raw.fetch("POST", EMBED, json={"content": {"parts": [{"text": "two words"}]}})
    assert len(answer.json["embedding"]["values"]) == 256
    assert answer.json["usageMetadata"]["promptTokenCount"] == 2


@pytest.mark.parametrize("requests", [[], [{"content": {"parts": [{"text": "a"}]}}] * 101])
async def test_a_batch_has_from_1_to_100_requests(raw: RawClient, requests: Any) -> None:
    answer = await raw.fetch("POST", EMBED.replace("embedContent", "batchEmbedContents"), json={"requests": requests})
    assert (answer.status, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
