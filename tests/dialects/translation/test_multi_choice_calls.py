"""The calls of several choices, which do not meet."""

from __future__ import annotations

from proxy.dialects.translation.calls import CallParts
from proxy.dialects.translation.multi_choice_calls import MultiChoiceCalls
from proxy.dialects.translation.parts import AnswerPart, CallDelta, CallEnd, CallStart, ChoicePart, Finish, TextDelta
from proxy.dialects.translation.tool_names import ToolNames


def calls() -> MultiChoiceCalls:
    return MultiChoiceCalls([CallParts(ToolNames(), f"call_{at}_", sequential=True) for at in range(2)])


def test_calls_of_one_index_stay_open_in_both_choices() -> None:
    found = calls()
    given: list[AnswerPart] = [
        *(ChoicePart(0), CallStart(0, "", "f")),
        *(ChoicePart(1), CallStart(0, "", "g"), CallDelta(0, "1")),
        *(ChoicePart(0), CallDelta(0, "2"), Finish("tool_calls")),
    ]
    assert [each for part in given for each in found.pass_on(part)] == [
        *(ChoicePart(0), CallStart(0, "call_0_0", "f")),
        *(ChoicePart(1), CallStart(0, "call_1_0", "g"), CallDelta(0, "1")),
        *(ChoicePart(0), CallDelta(0, "2"), CallEnd(0), Finish("tool_calls")),
    ]
    assert not found.idle
    assert list(found.end()) == [ChoicePart(1), CallEnd(0)]
    assert found.idle


def test_parts_before_any_choice_are_of_the_first() -> None:
    assert list(calls().pass_on(TextDelta("a"))) == [TextDelta("a")]
