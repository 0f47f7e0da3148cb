"""Calls for embeddings and their answers, in each API's form."""

from __future__ import annotations

import json

import pytest

from proxy.cache.embedding_forms import FORMS, MOST_INPUTS
from proxy.dialects.table import EMBEDDINGS, GEMINI_BATCH_EMBED

OPENAI, GEMINI = FORMS["embeddings"], FORMS["batchEmbedContents"]


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ('"a"', ['"a"']),
        ('["a", "b"]', ['"a"', '"b"']),
        ("[1,2]", ["[1,2]"]),
        ("[[1,2],[3]]", ["[1,2]", "[3]"]),
        ("[]", None),
        ("{}", None),
        ("null", None),
        ('[{"text":"a"}]', None),
        ('["a",1]', None),
        (json.dumps(["a"] * (MOST_INPUTS + 1)), None),
    ],
)
def test_what_the_inputs_of_openai_are(given: str, inputs: list[str] | None) -> None:
    found = OPENAI.inputs_of(EMBEDDINGS.requests.read(b'{"model":"m","input":%b}' % given.encode()))
    assert (found and [bytes(each).decode() for each in found]) == inputs


def test_many_tokens_are_one_input() -> None:
    found = OPENAI.inputs_of(EMBEDDINGS.requests.read(json.dumps({"input": [7] * (MOST_INPUTS + 1)}).encode()))
    assert found is not None
    assert len(found) == 1


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ('[{"content":{}}, {"a": 1}]', ['{"content":{}}', '{"a": 1}']),
        ("[]", None),
        ("null", None),
        ("{}", None),
        ('["a"]', None),
        ('[{}, "a"]', None),
        (json.dumps([{}] * (MOST_INPUTS + 1)), None),
    ],
)
def test_what_the_inputs_of_google_are(given: str, inputs: list[str] | None) -> None:
    found = GEMINI.inputs_of(GEMINI_BATCH_EMBED.requests.read(b'{"requests":%b}' % given.encode()))
    assert (found and [bytes(each).decode() for each in found]) == inputs


def test_a_call_without_inputs() -> None:
    assert OPENAI.inputs_of(EMBEDDINGS.requests.read(b'{"model":"m"}')) is None
    assert GEMINI.inputs_of(GEMINI_BATCH_EMBED.requests.read(b"{}")) is None


@pytest.mark.parametrize(
    ("body", "vectors"),
    [
        (b'{"data":[{"index":1,"embedding":"b"},{"index":0,"embedding":[1, 2]}]}', [b"[1, 2]", b'"b"']),
        (b'{"data":[]}', []),
        (b'{"data":[{"index":1,"embedding":[1]}]}', None),
        (b'{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}', None),
        (b'{"embeddings":[]}', None),
        (b"{", None),
    ],
)
def test_vectors_of_openai(body: bytes, vectors: list[bytes] | None) -> None:
    assert OPENAI.read(body) == vectors


@pytest.mark.parametrize(
    ("body", "vectors"),
    [
        (b'{"embeddings":[{"values":[1, 2]},{"values":[]}]}', [b'{"values":[1, 2]}', b'{"values":[]}']),
        (b'{"embeddings":{}}', None),
        (b'{"embedding":{"values":[1]}}', None),
    ],
)
def test_vectors_of_google(body: bytes, vectors: list[bytes] | None) -> None:
    assert GEMINI.read(body) == vectors
