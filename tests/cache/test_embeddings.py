"""What is missing of a batch of embeddings."""

from __future__ import annotations

import json

from msgspec import Raw

from proxy.cache.embedding_forms import FORMS
from proxy.cache.embeddings import batch_of
from tests.cache.answers import answer_of

OPENAI, GEMINI = FORMS["embeddings"], FORMS["batchEmbedContents"]


def test_a_batch_puts_together_what_is_known_and_what_came() -> None:
    inputs = [Raw(b'"a"'), Raw(b'"b"'), Raw(b'"a"'), Raw(b'"c"')]
    batch = batch_of(OPENAI, inputs, [b"a", b"b", b"a", b"c"], [None, answer_of(b"[2]"), None, None])
    assert (batch.missing, batch.cached, batch.whole) == ([0, 3], 2, False)
    assert batch.request() == b'["a","c"]'
    assert [each["embedding"] for each in json.loads(batch.data([b"[1]", b"[3]"]))] == [[1], [2], [1], [3]]


def test_a_batch_of_new_inputs_is_whole() -> None:
    assert batch_of(OPENAI, [Raw(b"1"), Raw(b"2")], [b"1", b"2"], [None, None]).whole
    assert not batch_of(OPENAI, [Raw(b"1"), Raw(b"1")], [b"1", b"1"], [None, None]).whole


def test_the_answer_of_a_batch_without_gaps() -> None:
    batch = batch_of(OPENAI, [Raw(b"1")], [b"1"], [answer_of(b"[0.5]")])
    assert json.loads(batch.answer('e"1')) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "model": 'e"1',
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }


def test_a_batch_in_google_s_form() -> None:
    inputs = [Raw(b'{"content":1}'), Raw(b'{"content":2}')]
    batch = batch_of(GEMINI, inputs, [b"1", b"2"], [None, answer_of(b'{"values":[2]}')])
    assert batch.request() == b'[{"content":1}]'
    assert json.loads(batch.data([b'{"values":[1]}'])) == [{"values": [1]}, {"values": [2]}]
    whole = batch_of(GEMINI, inputs[1:], [b"2"], [answer_of(b'{"values":[2]}')])
    assert whole.answer("m") == b'{"embeddings":[{"values":[2]}]}'
