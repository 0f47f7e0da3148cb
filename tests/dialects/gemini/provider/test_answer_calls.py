from __future__ import annotations

from typing import Any

from proxy.dialects.gemini.provider.answer_calls import GeminiCalls
from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.parts import AnswerPart, CallDelta, CallEnd, CallStart, Dropped


def read(*calls: Any, signature: str = "") -> list[AnswerPart]:
    """The parts of these calls, the first with the signature."""
    reader = GeminiCalls()
    found = [part for at, call in enumerate(calls) for part in reader.read(call, "" if at else signature)]
    return [*found, *reader.end()]


def test_a_whole_call_is_complete_at_once() -> None:
    reader = GeminiCalls()
    assert not reader.any
    found = list(reader.read({"id": "c", "name": "f", "args": {"a": [1, None]}}, "sig"))
    assert found == [CallStart(0, "c", "f", blob=Blob("sig")), CallDelta(0, '{"a":[1,null]}'), CallEnd(0)]
    assert reader.any


def test_parallel_calls_are_numbered() -> None:
    found = read({"name": "f", "args": {}}, {"name": "f", "args": {}})
    assert found == [
        *(CallStart(0, "", "f"), CallDelta(0, "{}"), CallEnd(0)),
        *(CallStart(1, "", "f"), CallDelta(1, "{}"), CallEnd(1)),
    ]


def test_a_call_may_have_no_arguments() -> None:
    assert read({"name": "f"}) == [CallStart(0, "", "f"), CallEnd(0)]


def test_a_call_in_pieces_ends_with_an_empty_fragment() -> None:
    found = read(
        {"name": "f", "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x", "willContinue": True}], "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.a", "stringValue": "y"}], "willContinue": True},
        {},
        signature="sig",
    )
    assert found == [CallStart(0, "", "f", blob=Blob("sig")), CallDelta(0, '{"a":"xy"}'), CallEnd(0)]


def test_a_call_in_pieces_ends_with_the_next_call_or_the_answer() -> None:
    first = {"name": "f", "willContinue": True, "partialArgs": [{"jsonPath": "$.a", "numberValue": 1}]}
    found = read(first, {"name": "g", "willContinue": True})
    assert found == [
        *(CallStart(0, "", "f"), CallDelta(0, '{"a":1}'), CallEnd(0)),
        *(CallStart(1, "", "g"), CallEnd(1)),
    ]


def test_a_fragment_of_no_call_is_left_out() -> None:
    piece = {"partialArgs": [{"jsonPath": "$.a", "numberValue": 1}]}
    assert read(piece) == []
    assert read({"name": "f"}, piece) == [CallStart(0, "", "f"), CallEnd(0)]


def test_a_late_signature_is_told() -> None:
    reader = GeminiCalls()
    list(reader.read({"name": "f", "willContinue": True}, ""))
    assert list(reader.read({}, "sig")) == [Dropped("functionCall.thoughtSignature"), CallEnd(0)]


def test_half_a_surrogate_pair_is_kept() -> None:
    assert read({"name": "f", "args": {"a": "\ud83d"}})[1] == CallDelta(0, '{"a":"\\ud83d"}')
