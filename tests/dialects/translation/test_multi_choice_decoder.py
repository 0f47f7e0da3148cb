"""Answers with several choices: each is read as if it were the only one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.provider.answer_decoder import GeminiAnswerDecoder
from proxy.dialects.openai.chat.provider.answer_decoder import ChatAnswerDecoder
from proxy.dialects.translation.multi_choice_decoder import MultiChoiceDecoder
from proxy.dialects.translation.parts import AnswerPart, ChoicePart, Dropped, Finish, Start, TextDelta, UsagePart
from proxy.dialects.usage import Usage
from tests.support.answers import DONE, sse
from tests.support.gemini import candidate, document, event

Parts = Sequence[AnswerPart]

DELTAS: list[dict[str, Any]] = [
    {"content": "a"},
    {"content": "<think>b"},
    {"content": "</think>c"},
    {"reasoning_content": "d"},
    {"refusal": "e"},
    {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
]
PARTS: list[dict[str, Any]] = [
    {"text": "a"},
    {"text": "b", "thought": True},
    {"text": "", "thoughtSignature": "c"},
    {"functionCall": {"name": "f", "args": {"x": 1}}},
    {"functionCall": {"name": "f", "willContinue": True, "partialArgs": [{"jsonPath": "$.x", "stringValue": "d"}]}},
]


def chat(index: int, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    return sse({"id": "c", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]} | more)


def gemini(index: int, part: dict[str, Any], finish: str | None = None) -> bytes:
    return event(document(candidate(part, finish=finish, index=index)))


def several(count: int = 2) -> MultiChoiceDecoder:
    return MultiChoiceDecoder(ChatAnswerDecoder, count, "n")


def of_candidates() -> MultiChoiceDecoder:
    return MultiChoiceDecoder(GeminiAnswerDecoder, 2, "n")


def read(decoder: MultiChoiceDecoder, *blocks: bytes) -> list[AnswerPart]:
    return [*(part for block in blocks for part in decoder.decode(block)), *decoder.end()]


def by_choice(parts: Parts) -> dict[int, list[AnswerPart]]:
    found: dict[int, list[AnswerPart]] = {}
    index = -1
    for part in parts:
        if isinstance(part, ChoicePart):
            assert part.index != index
            index = part.index
        else:
            found.setdefault(index, []).append(part)
    return found


@st.composite
def mixed(draw: st.DrawFn, kinds: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Pieces of three choices in any order, each choice with one at least."""
    first = [(index, kinds[0]) for index in draw(st.permutations(range(3)))]
    return first + draw(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(kinds)), max_size=12))


@given(mixed(DELTAS))
def test_a_choice_of_chat_is_read_as_if_it_were_the_only_one(pieces: list[tuple[int, dict[str, Any]]]) -> None:
    blocks = [chat(index, piece) for index, piece in pieces] + [chat(index, {}, "stop") for index in range(3)]
    found = by_choice(read(several(3), *blocks))
    for index in range(3):
        alone = ChatAnswerDecoder()
        own = [chat(0, piece) for at, piece in pieces if at == index] + [chat(0, {}, "stop")]
        assert found[index] == [*(part for block in own for part in alone.decode(block)), *alone.end()]


@given(mixed(PARTS))
def test_a_candidate_is_read_as_if_it_were_the_only_one(pieces: list[tuple[int, dict[str, Any]]]) -> None:
    blocks = [gemini(index, piece) for index, piece in pieces] + [gemini(at, {"text": ""}, "STOP") for at in range(3)]
    found = by_choice(read(MultiChoiceDecoder(GeminiAnswerDecoder, 3, "n"), *blocks))
    for index in range(3):
        alone = GeminiAnswerDecoder()
        own = [gemini(0, piece) for at, piece in pieces if at == index] + [gemini(0, {"text": ""}, "STOP")]
        expected = [*(part for block in own for part in alone.decode(block)), *alone.end()]
        assert found[index] == [part for part in expected if index == 0 or not isinstance(part, UsagePart)]


def test_an_event_may_have_all_choices() -> None:
    both = {"id": "c", "choices": [{"index": at, "delta": {"content": text}} for at, text in enumerate("ab")]}
    assert several().decode(sse(both)) == [
        *(ChoicePart(0), Start("c"), TextDelta("a")),
        *(ChoicePart(1), Start("c"), TextDelta("b")),
    ]


def test_the_last_usage_comes_once() -> None:
    early, late = ({"prompt_tokens": 9, "completion_tokens": count} for count in (1, 7))
    blocks = chat(0, {"content": "a"}, usage=early), chat(1, {"content": "b"}, usage=late), chat(0, {}, "stop"), DONE
    assert [part for part in read(several(), *blocks) if isinstance(part, UsagePart)] == [UsagePart(Usage(9, None, 7))]


def test_a_usage_is_not_lost_with_the_first_choice() -> None:
    used = chat(1, {"content": "b"}, usage={"prompt_tokens": 9, "completion_tokens": 7})
    assert UsagePart(Usage(9, None, 7)) in read(several(), used)


def test_more_choices_than_were_requested_are_left_out() -> None:
    found = read(several(), chat(0, {"content": "a"}), chat(1, {"content": "b"}), chat(2, {"content": "c"}))
    assert found == [ChoicePart(0), Start("c", "m"), TextDelta("a"), ChoicePart(1), Start("c", "m"), TextDelta("b"), Dropped("choices")]  # fmt: skip


@pytest.mark.parametrize("index", ["1", -1, 1.5, [1]])
def test_a_choice_without_a_place_is_left_out(index: Any) -> None:
    assert several().decode(chat(index, {"content": "a"})) == [Dropped("choices")]


def test_a_choice_without_an_index_is_the_first() -> None:
    event = sse({"id": "c", "choices": [{"delta": {"content": "a"}}]})
    assert several().decode(event) == [ChoicePart(0), Start("c"), TextDelta("a")]


def test_fewer_choices_than_were_requested_are_told() -> None:
    assert read(several(), chat(0, {"content": "a"}, "stop"))[-2:] == [Finish("stop"), Dropped("n")]
    assert read(several()) == []


def test_a_blocked_prompt_ends_one_choice() -> None:
    blocked = event({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "No."}})
    found = read(of_candidates(), blocked)
    assert found == [ChoicePart(0), Start(), Finish("content_filter", detail="No."), Dropped("n")]


def test_whole_answers_have_the_same_parts() -> None:
    choices = [{"index": at, "message": {"content": text}, "finish_reason": "stop"} for at, text in enumerate("ab")]
    found = several().whole(json.dumps({"id": "c", "choices": choices}).encode())
    ends = [[Start("c"), TextDelta(text), Finish("stop")] for text in "ab"]
    assert by_choice(found) == dict(enumerate(ends))


def test_a_stream_without_sse_is_an_array_of_its_events() -> None:
    documents = [document(candidate(text, finish="STOP", index=at)) for at, text in enumerate("ab")]
    found = by_choice(of_candidates().whole(json.dumps(documents).encode()))
    assert [[part.text for part in found[at] if isinstance(part, TextDelta)] for at in (0, 1)] == [["a"], ["b"]]


@pytest.mark.parametrize("body", [b"", b"[", b"5", b"[5]", b'{"choices":5}', b'{"choices":[5]}'])
def test_nothing_is_made_of_anything_else(body: bytes) -> None:
    assert list(several().whole(body)) == []
    assert list(several().decode(b"data: " + body + b"\n\n")) == []
    assert list(several().decode(b": " + body + b"\n\n")) == []
