"""Vectors in neutral terms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.table import EMBEDDINGS, GEMINI_BATCH_EMBED, Dialect
from proxy.dialects.translation.embeddings import EmbeddingAnswer, EmbeddingRequest
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer, ClientFault
from proxy.wire import document

BOTH = pytest.mark.parametrize("dialect", [EMBEDDINGS, GEMINI_BATCH_EMBED], ids=repr)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WRONG_VALUES = (None, True, 7, 0.5, 1e400, "text", [], {}, [7], [[]], [{}], {"a": {}}, {"parts": [{}]})


def test_each_text_has_a_vector() -> None:
    EmbeddingAnswer([[1.0], [0.0]]).check(2)


@pytest.mark.parametrize("vectors", [[], [[1.0]], [[1.0]] * 3, [[1.0], []]])
def test_an_answer_that_lacks_a_vector_or_has_more_is_broken(vectors: list[list[float]]) -> None:
    with pytest.raises(BrokenAnswer):
        EmbeddingAnswer(vectors).check(2)


@BOTH
@given(st.lists(TEXTS, min_size=1, max_size=5), st.none() | st.integers(1, 9999))
def test_a_request_is_read_as_it_was_made(dialect: Dialect, texts: list[str], dimensions: int | None) -> None:
    assert dialect.embedding_client is not None
    assert dialect.embedding_provider is not None
    request = EmbeddingRequest(texts, dimensions)
    body = document.encode(dialect.embedding_provider.encode_request(request, "m"))
    assert dialect.embedding_client.decode_request(body) == request


@BOTH
@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=3), max_size=4), st.integers(0, 9999))
def test_vectors_keep_every_digit(dialect: Dialect, vectors: list[list[float]], used: int) -> None:
    assert dialect.embedding_client is not None
    assert dialect.embedding_provider is not None
    body = dialect.embedding_client.encode_answer(
        EmbeddingRequest([]), EmbeddingAnswer(vectors, Usage(used), model="up")
    )
    found = dialect.embedding_provider.decode_answer(body)
    assert (found.vectors, found.usage) == (vectors, Usage(used))


@BOTH
@pytest.mark.parametrize("value", WRONG_VALUES, ids=repr)
def test_a_value_of_any_type_is_the_clients_fault_at_most(dialect: Dialect, value: Any) -> None:
    assert dialect.embedding_client is not None
    content = {"content": {"parts": [{"text": "a"}]}}
    bodies: list[Any] = [
        *({"input": "a"} | {name: value} for name in ("input", "dimensions", "encoding_format", "user", "stream")),
        *({"requests": [content | {name: value}]} for name in ("content", "outputDimensionality", "title")),
        *(
            {"requests": [content | {"embedContentConfig": config}]}
            for config in (value, {"outputDimensionality": value})
        ),
        *(
            {"requests": [{"content": {"parts": [part]}}]}
            for part in (value, {"text": value}, {"text": "a", "x": value})
        ),
        {"requests": value},
        value,
    ]
    for body in bodies:
        try:
            found = dialect.embedding_client.decode_request(json.dumps(body).encode())
        except ClientFault:
            continue
        assert all(isinstance(text, str) for text in found.texts)
