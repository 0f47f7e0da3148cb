"""Calls for embeddings: the shapes of their input, and what is missing of a batch."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from proxy.cache.embeddings import batch_of, inputs_of
from proxy.dialects.table import EMBEDDINGS
from tests.cache.answers import answer_of


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
    ],
)
def test_what_the_inputs_are(given: str, inputs: list[str] | None) -> None:
    found = inputs_of(EMBEDDINGS.requests.read(b'{"model":"m","input":%b}' % given.encode()))
    assert (found and [bytes(each).decode() for each in found]) == inputs


def test_a_call_without_inputs() -> None:
    assert inputs_of(EMBEDDINGS.requests.read(b'{"model":"m"}')) is None


def test_a_batch_puts_together_what_is_known_and_what_came() -> None:
    inputs = [Raw(b'"a"'), Raw(b'"b"'), Raw(b'"a"'), Raw(b'"c"')]
    batch = batch_of(inputs, [b"a", b"b", b"a", b"c"], [None, answer_of(b"[2]"), None, None])
    assert (batch.missing, batch.cached, batch.whole) == ([0, 3], 2, False)
    assert batch.request() == b'["a","c"]'
    assert [each["embedding"] for each in json.loads(batch.data([b"[1]", b"[3]"]))] == [[1], [2], [1], [3]]


def test_a_batch_of_new_inputs_is_whole() -> None:
    assert batch_of([Raw(b"1"), Raw(b"2")], [b"1", b"2"], [None, None]).whole
    assert not batch_of([Raw(b"1"), Raw(b"1")], [b"1", b"1"], [None, None]).whole


def test_the_answer_of_a_batch_without_gaps() -> None:
    batch = batch_of([Raw(b"1")], [b"1"], [answer_of(b"[0.5]")])
    assert json.loads(batch.answer('e"1')) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "model": 'e"1',
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
