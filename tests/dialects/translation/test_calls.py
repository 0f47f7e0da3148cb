"""Tool calls on their way from a provider's answer to a client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.translation.calls import MOST_BUFFERED, CallParts
from proxy.dialects.translation.conversation import ToolDefinition
from proxy.dialects.translation.gathered import CallBlock, gather
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    CallEnd,
    CallStart,
    Finish,
    TextDelta,
    UsagePart,
)
from proxy.dialects.translation.tool_names import ToolNames
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer


def passed(parts: list[AnswerPart], *, sequential: bool = True, names: ToolNames | None = None) -> list[AnswerPart]:
    calls = CallParts(names or ToolNames(), "call_", sequential=sequential)
    found = [each for part in parts for each in calls.pass_on(part)]
    return found + list(calls.end())


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=3)), max_size=20))
def test_sequential_calls_never_interleave_and_lose_nothing(fragments: list[tuple[int, str]]) -> None:
    parts: list[AnswerPart] = []
    seen: set[int] = set()
    for index, text in fragments:
        if index not in seen:
            seen.add(index)
            parts.append(CallStart(index, f"id{index}", f"f{index}"))
        parts.append(CallDelta(index, text))
    parts.append(Finish("tool_calls"))
    found = passed(parts)
    open_call: int | None = None
    for part in found:
        if isinstance(part, CallStart):
            assert open_call is None
            open_call = part.index
        elif isinstance(part, CallDelta):
            assert part.index == open_call
        elif isinstance(part, CallEnd):
            assert part.index == open_call
            open_call = None
    assert open_call is None
    assert gather(found).blocks == gather(parts).blocks
    assert isinstance(found[-1], Finish)


def test_calls_may_interleave_for_a_client_that_takes_it() -> None:
    parts: list[AnswerPart] = [CallStart(0, "a", "f"), CallStart(1, "b", "g"), CallDelta(0, "1"), CallDelta(1, "2")]
    assert passed(parts, sequential=False)[:4] == parts


def test_usage_within_a_call_does_not_end_it() -> None:
    start, usage = CallStart(0, "a", "f"), UsagePart(Usage(1, None, 1))
    parts: list[AnswerPart] = [start, CallDelta(0, "{"), usage, CallDelta(0, "}"), usage]
    assert passed(parts) == [*parts, CallEnd(0)]


def test_a_call_without_an_id_gets_one() -> None:
    found = passed([CallStart(0, "", "f"), CallStart(1, "", "f")])
    assert [part.id for part in found if isinstance(part, CallStart)] == ["call_0", "call_1"]


def test_calls_with_the_same_id_get_different_ones() -> None:
    parts: list[AnswerPart] = [CallStart(0, "call", "f"), CallStart(1, "call", "f"), CallStart(2, "call", "f")]
    ids = [part.id for part in passed(parts) if isinstance(part, CallStart)]
    assert ids == ["call", "call_1", "call_2"]


@pytest.mark.parametrize("sequential", [False, True])
def test_calls_with_the_same_index_stay_apart(sequential: bool) -> None:
    """As of providers that give all calls the index 0, also while a call before them is open."""
    parts: list[AnswerPart] = [CallStart(7, "first", "f")]
    for number in range(3):
        parts += [CallStart(0, "", f"f{number}"), CallDelta(0, str(number))]
    found = gather(passed(parts, sequential=sequential)).blocks
    assert [(block.name, block.arguments) for block in found if isinstance(block, CallBlock)] == [
        ("f", ""),
        ("f0", "0"),
        ("f1", "1"),
        ("f2", "2"),
    ]
    assert len({block.id for block in found if isinstance(block, CallBlock)}) == 4


def test_a_call_that_waits_begins_as_soon_as_the_one_before_it_has_ended() -> None:
    calls = CallParts(ToolNames(), "call_", sequential=True)
    for part in (CallStart(0, "a", "f"), CallStart(1, "b", "g"), CallDelta(1, "1"), CallStart(2, "c", "h"), CallEnd(2)):
        list(calls.pass_on(part))
    assert list(calls.pass_on(CallEnd(0))) == [CallEnd(0), CallStart(1, "b", "g"), CallDelta(1, "1")]
    assert list(calls.pass_on(CallDelta(1, "2"))) == [CallDelta(1, "2")]
    assert not calls.idle
    assert list(calls.pass_on(CallEnd(1))) == [CallEnd(1), CallStart(2, "c", "h"), CallEnd(2)]
    assert calls.idle


def test_a_call_has_the_client_s_name() -> None:
    names = ToolNames()
    sent = names.add(ToolDefinition("run", namespace="shell"))
    found = passed([CallStart(0, "a", sent)], names=names)
    assert isinstance(found[0], CallStart)
    assert (found[0].namespace, found[0].name) == ("shell", "run")


@pytest.mark.parametrize("arguments", ['{"input":"a\\"b"}', '{"input": "a\\"b"}'])
def test_the_text_of_a_custom_tool_is_taken_out_of_the_function_s_arguments(arguments: str) -> None:
    names = ToolNames()
    names.add(ToolDefinition("patch", kind="custom"))
    parts: list[AnswerPart] = [CallStart(0, "a", "patch"), *(CallDelta(0, each) for each in arguments)]
    assert gather(passed(parts, names=names)).blocks == [CallBlock(0, "a", "patch", 'a"b', "custom")]


def test_a_text_after_the_calls_ends_them_all() -> None:
    found = passed([CallStart(0, "a", "f"), CallStart(1, "b", "g"), CallDelta(0, "1"), TextDelta("t")])
    assert [type(part) for part in found] == [CallStart, CallDelta, CallEnd, CallStart, CallEnd, TextDelta]


def test_arguments_that_wait_are_bounded() -> None:
    calls = CallParts(ToolNames(), "call_", sequential=True)
    list(calls.pass_on(CallStart(0, "a", "f")))
    list(calls.pass_on(CallStart(1, "b", "g")))
    list(calls.pass_on(CallDelta(0, "x" * 2 * MOST_BUFFERED)))  # these go on at once
    list(calls.pass_on(CallDelta(1, "x" * MOST_BUFFERED)))
    with pytest.raises(BrokenAnswer):
        list(calls.pass_on(CallDelta(1, "x")))
