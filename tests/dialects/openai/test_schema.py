from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw, ValidationError

from proxy.dialects.openai.schema import (
    NO_ERROR,
    NULL,
    Chunk,
    ChunkChoice,
    Node,
    TypedEvent,
    WholeAnswer,
    WireUsage,
    decode_answer,
    decode_chunk,
    decode_event,
    decode_nodes,
)


@pytest.mark.parametrize(
    ("decode", "data", "expected"),
    [
        (decode_chunk, b"{}", Chunk()),
        (decode_chunk, b'{"id":"x","choices":[{"index":0,"finish_reason":"stop"}]}', Chunk([ChunkChoice("stop")])),
        (decode_chunk, b'{"usage":{"prompt_tokens":1,"num_sources_used":5}}', Chunk(usage=WireUsage(1))),
        (decode_event, b'{"type":"response.created","sequence_number":3}', TypedEvent("response.created", NO_ERROR, 3)),
        (decode_answer, b'{"model":null,"usage":null,"choices":[]}', WholeAnswer(None, None, NULL)),
        (decode_answer, b'{"model":"m","error":{"a":1}}', WholeAnswer("m", None, Raw(b'{"a":1}'))),
        (decode_nodes, b'["a",{"content":["b",{"text":"c"}]}]', ["a", Node(content=["b", Node(text="c")])]),
    ],
)
def test_only_the_needed_members_are_decoded(decode: Callable[[bytes], Any], data: bytes, expected: object) -> None:
    assert decode(data) == expected


@pytest.mark.parametrize(
    ("decode", "data"),
    [(decode_chunk, b'{"choices":5}'), (decode_event, b'{"type":1}'), (decode_answer, b'{"model":1}'), (decode_nodes, b"[5]")],
)  # fmt: skip
def test_a_needed_member_of_the_wrong_type_is_an_error(decode: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(ValidationError):
        decode(data)


def test_defaults_differ_from_null() -> None:
    assert not NO_ERROR
    assert decode_chunk(b'{"error":null}').error == NULL
