"""Answers of ``predict``, decoded."""

from __future__ import annotations

import json

import pytest

from proxy.dialects.gemini.embeddings.predict_decoder import PredictReader, decode_predictions
from proxy.dialects.translation.embeddings import EmbeddingAnswer
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer, ErrorInStream
from tests.support.recorded import SHARED

RECORDED = SHARED / "translate" / "vercel-ai" / "packages" / "google-vertex" / "src" / "__fixtures__"


def prediction(value: float, **statistics: float) -> dict[str, object]:
    return {"embeddings": {"values": [value]} | ({"statistics": statistics} if statistics else {})}


def test_vectors_are_read_in_order_and_their_tokens_added_up() -> None:
    body = json.dumps({"predictions": [prediction(1, token_count=5), prediction(2, token_count=6.0)]}).encode()
    assert decode_predictions(body) == EmbeddingAnswer([[1.0], [2.0]], Usage(11))
    assert PredictReader.read_answer(body).usage == Usage(11)


def test_a_count_that_is_not_reported_leaves_the_usage_unknown() -> None:
    for last in (prediction(2), prediction(2, truncated=False)):
        body = json.dumps({"predictions": [prediction(1, token_count=5), last]}).encode()
        assert decode_predictions(body).usage is None


@pytest.mark.parametrize("broken", [b"", b"{}", b'{"predictions":[{}]}', b'{"predictions":[{"embeddings":{}}]}'])
def test_anything_but_vectors_is_a_broken_answer(broken: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        decode_predictions(broken)


def test_the_reader_leaves_a_broken_answer_to_the_translation() -> None:
    assert PredictReader.read_answer(b'{"predictions":[{}]}').usage is None


def test_an_error_in_disguise_is_an_error() -> None:
    with pytest.raises(ErrorInStream, match="Quota"):
        PredictReader.read_answer(b'{"error":{"code":429,"message":"Quota.","status":"RESOURCE_EXHAUSTED"}}')


def test_a_recorded_answer_is_read() -> None:
    path = RECORDED / "google-vertex-embedding.json"
    if not path.exists():
        pytest.skip("no recorded traffic")
    found = decode_predictions(path.read_bytes())
    assert ([len(vector) for vector in found.vectors], found.usage) == ([5, 5], Usage(11))
