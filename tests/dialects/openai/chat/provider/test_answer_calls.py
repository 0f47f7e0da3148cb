from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.answer_calls import AnswerCalls
from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.gathered import CallBlock, gather
from proxy.dialects.translation.parts import CallStart, Dropped


def call(index: int | None = None, call_id: str | None = None, name: str | None = None, text: Any = "") -> Any:
    """A fragment as providers send it: what it does not have is left out."""
    members = {"index": index, "id": call_id, "function": {"name": name, "arguments": text}}
    return {key: value for key, value in members.items() if value is not None}


def read(*deltas: list[Any]) -> list[tuple[str, str, str]]:
    calls = AnswerCalls()
    parts = [part for fragments in deltas for part in calls.read({"tool_calls": fragments})]
    return [(each.id, each.name, each.arguments) for each in gather(parts).blocks if isinstance(each, CallBlock)]


def test_the_fragments_of_calls_may_interleave() -> None:
    found = read(
        [call(0, "a", "f"), call(1, "b", "g")], [call(1, text="{")], [call(0, text="[")], [call(1, text="}"), call(0, text="]")]
    )  # fmt: skip
    assert found == [("a", "f", "[]"), ("b", "g", "{}")]


def test_calls_without_an_index_are_whole() -> None:
    assert read([call(None, "a", "f", "{}"), call(None, "b", "f", "{}")]) == [("a", "f", "{}"), ("b", "f", "{}")]


def test_fragments_without_an_index_belong_to_the_last_call() -> None:
    assert read([call(None, "a", "f", "{")], [call(None, text="}")]) == [("a", "f", "{}")]


def test_calls_with_ids_of_their_own_may_share_an_index() -> None:
    found = read([call(0, "a", "f", "{")], [call(0, text="}")], [call(0, "b", "g", "{")], [call(0, text="}")])
    assert found == [("a", "f", "{}"), ("b", "g", "{}")]


def test_whole_calls_without_ids_may_share_an_index() -> None:
    assert read([call(0, "", "f", '{"a":1}'), call(0, "", "f", '{"a":2}')]) == [
        ("", "f", '{"a":1}'),
        ("", "f", '{"a":2}'),
    ]


def test_id_and_name_may_be_repeated() -> None:
    assert read([call(0, "a", "f", "{")], [call(0, "a", "f", "}")]) == [("a", "f", "{}")]
    assert read([call(0, "", "f", "{")], [call(0, "", "f", "}")]) == [("", "f", "{}")]
    assert read([call(0, "a", "f", "{")], [call(0, "", "f", "}")]) == [("a", "f", "{}")]


def test_an_id_for_each_fragment_begins_no_call() -> None:
    assert read([call(0, "a", "f", "{")], [call(0, "b", "", "}")]) == [("a", "f", "{}")]


def test_arguments_may_be_an_object() -> None:
    assert read([call(0, "a", "f", {"b": [1]})]) == [("a", "f", '{"b":[1]}')]


def test_a_call_of_an_unknown_type_is_told() -> None:
    odd = {"index": 0, "id": "a", "type": "computer", "computer": {}}
    assert list(AnswerCalls().read({"tool_calls": [odd]})) == [Dropped("tool_calls[computer]")]


@pytest.mark.parametrize(
    "fragment", [None, 1, {}, {"index": 0}, {"function": None}, {"index": 0, "function": {"arguments": "{}"}},
                 {"index": "0", "function": {"name": 1, "arguments": 2}}],
)  # fmt: skip
def test_what_is_no_call_is_left_out(fragment: Any) -> None:
    assert read([fragment]) == []


def test_a_custom_call_has_its_text() -> None:
    calls = AnswerCalls()
    fragments = [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** "}},
        {"index": 0, "type": "custom", "custom": {"input": "Begin"}},
    ]
    [block] = gather(part for each in fragments for part in calls.read({"tool_calls": [each]})).blocks
    assert block == CallBlock(0, "a", "patch", "*** Begin", "custom")


def test_an_old_function_call_is_a_call_without_an_id() -> None:
    calls = AnswerCalls()
    deltas = [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}]
    [block] = gather(part for delta in deltas for part in calls.read(delta)).blocks
    assert block == CallBlock(0, "", "f", "{}")


def test_a_signature_of_google_belongs_to_its_call() -> None:
    signed = call(0, "a", "f", "{}") | {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    [start, _] = AnswerCalls().read({"tool_calls": [signed]})
    assert start == CallStart(0, "a", "f", blob=Blob("c2ln"))


def test_a_signature_that_comes_late_is_dropped() -> None:
    calls = AnswerCalls()
    list(calls.read({"tool_calls": [call(0, "a", "f", "")]}))
    late = call(0, text="{}") | {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    assert Dropped("tool_calls[].extra_content") in list(calls.read({"tool_calls": [late]}))


def test_only_fragments_of_an_open_call_are_continued() -> None:
    calls = AnswerCalls()
    list(calls.read({"tool_calls": [call(3, "a", "f", "")]}))
    assert calls.continued(3, None) == 0
    assert calls.continued(3, "a") == 0
    assert calls.continued(3, "b") == -1
    assert calls.continued(0, None) == -1
