"""Reasoning that clients send back: as thoughts, within signatures, or both."""

from __future__ import annotations

import base64

import pytest

from proxy.dialects.gemini import signatures
from proxy.dialects.gemini.client.answer_turn import AnswerTurn
from proxy.dialects.translation.conversation import Blob, Part, Reasoning, Text, ToolCall
from tests.support.gemini_requests import call, parts

OWN = Blob("SIG", issuer="iss")
PACKED = signatures.of_reasoning(Blob("SIG"), "Hm.", "iss")
NATIVE = base64.b64encode(b"\x01\xffgoogle").decode()


def thought(text: str, signature: str = "") -> dict[str, object]:
    return {"text": text, "thought": True} | ({"thoughtSignature": signature} if signature else {})


@pytest.mark.parametrize("shown", [[], [thought("Hm.")], [thought("H"), thought("m.")]])
def test_reasoning_comes_before_the_part_that_has_it_in_its_signature(shown: list[dict[str, object]]) -> None:
    reasoning = Reasoning("Hm.", OWN)
    assert parts(*shown, {"text": "a", "thoughtSignature": PACKED}, "b") == [reasoning, Text("ab")]
    assert parts("a", *shown, call("f", "1", PACKED)) == [Text("a"), reasoning, ToolCall("1", "f", "{}")]
    assert parts("a", *shown, {"text": "", "thoughtSignature": PACKED}) == [Text("a"), reasoning]


def test_thoughts_without_a_signature_stay() -> None:
    assert parts(thought("H"), thought("m."), "a", thought("Oh.")) == [Reasoning("Hm."), Text("a"), Reasoning("Oh.")]


def test_a_signature_without_the_text_takes_that_of_the_thoughts() -> None:
    bare = signatures.of_reasoning(Blob("SIG"), "", "iss")
    assert parts(thought("Hm."), {"text": "a", "thoughtSignature": bare}) == [Reasoning("Hm.", OWN), Text("a")]


def test_redacted_reasoning_stands_by_itself() -> None:
    redacted = signatures.of_reasoning(Blob("R", "redacted"), "", "iss")
    found = parts(thought("Hm."), {"text": "", "thoughtSignature": PACKED}, call("f", "1", redacted))
    assert found[:2] == [Reasoning("Hm.", OWN), Reasoning(blob=Blob("R", "redacted", "iss"))]
    assert parts(thought("Hm."), call("f", "1", redacted))[:2] == [
        Reasoning("Hm."),
        Reasoning(blob=Blob("R", "redacted", "iss")),
    ]


def test_long_thoughts_in_two_signatures_are_one() -> None:
    first = signatures.of_reasoning(None, "Hm", "iss")
    rest = signatures.of_reasoning(Blob("SIG"), "m.", "iss")
    assert parts({"text": "", "thoughtSignature": first}, call("f", "1", rest))[0] == Reasoning("Hmm.", OWN)


def test_the_signature_of_a_call_belongs_to_it() -> None:
    packed = signatures.of_call(Blob("SIG"), "iss")
    assert parts(thought("Hm."), call("f", "1", packed)) == [Reasoning("Hm."), ToolCall("1", "f", "{}", blob=OWN)]


def test_signatures_of_googles_own_stay_what_they_are() -> None:
    assert parts(call("f", "1", NATIVE)) == [ToolCall("1", "f", "{}", blob=Blob(NATIVE))]
    assert parts(thought("Hm.", NATIVE), "a") == [Reasoning("Hm.", Blob(NATIVE)), Text("a")]
    assert parts({"text": "a", "thoughtSignature": NATIVE}) == [Reasoning("", Blob(NATIVE)), Text("a")]


@pytest.mark.parametrize("word", ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"])
def test_a_placeholder_is_no_signature(word: str) -> None:
    for value in (word, base64.b64encode(word.encode()).decode()):
        assert parts(call("f", "1", value)) == [ToolCall("1", "f", "{}")]


@pytest.mark.parametrize("value", ["sl1.", "sl1.iss", "sl1.iss.tx.sSIG"])
def test_a_signature_that_was_changed_breaks_nothing(value: str) -> None:
    changed = base64.urlsafe_b64encode(value.encode()).decode()
    found = parts(call("f", "1", changed), {"text": "a", "thoughtSignature": changed})
    assert [part for part in found if not isinstance(part, Reasoning)] == [ToolCall("1", "f", "{}"), Text("a")]


def test_the_text_of_a_turn_is_joined_once() -> None:
    turn = AnswerTurn()
    for piece in ("a", "b", "c"):
        turn.add_text(piece)
    expected: list[Part] = [Text("abc")]
    assert turn.end() == expected
