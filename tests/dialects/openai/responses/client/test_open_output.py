"""The output of a stream: reasoning, calls and messages, one after the other."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation import blobs
from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    Dropped,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from tests.support.responses import Json, decoded, events_of, stream_of, types_of

SIGNED = ReasoningBlob(Blob("sig"))
SHELL = decoded(input="Hi", tools=[{"type": "shell"}])


def output(*parts: AnswerPart, **members: Any) -> list[Json]:
    found: list[Json] = events_of(stream_of(parts, **members))[-1]["response"]["output"]
    return found


def kinds(*parts: AnswerPart) -> list[str]:
    """The types of the items; those of a message's parts."""
    return [
        "+".join(part["type"] for part in item["content"]) if item["type"] == "message" else item["type"]
        for item in output(*parts)
    ]


def test_thoughts_have_all_their_events() -> None:
    stream = stream_of([ReasoningDelta("Hm"), ReasoningDelta("."), SIGNED])
    assert types_of(stream)[2:-1] == [
        *("output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
    ]
    added, part, delta, _, text, part_done, done = events_of(stream)[2:-1]
    place = {"item_id": "rs_abc_0", "output_index": 0, "content_index": 0}
    assert added["item"] == {"id": "rs_abc_0", "type": "reasoning", "summary": []}
    assert part["part"] == {"type": "reasoning_text", "text": ""}
    assert delta == place | {"type": "response.reasoning_text.delta", "delta": "Hm", "sequence_number": 4}
    assert (text["text"], part_done["part"]["text"]) == ("Hm.", "Hm.")
    assert blobs.unpack(done["item"]["encrypted_content"]).text == "Hm."


def test_a_summary_has_all_its_events() -> None:
    stream = stream_of([ReasoningDelta("Hm.", summary=True)])
    assert types_of(stream)[2:-1] == [
        *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
    ]
    assert {event["summary_index"] for event in events_of(stream) if "summary_index" in event} == {0}


@pytest.mark.parametrize(
    ("parts", "texts"),
    [
        ([ReasoningDelta("A"), SIGNED, ReasoningDelta("B"), SIGNED], ["A", "B"]),
        ([ReasoningDelta("A"), BlockEnd(), ReasoningDelta("B")], ["A", "B"]),
        ([ReasoningDelta("A"), ReasoningDelta("B", summary=True)], ["A", "B"]),
        ([SIGNED, SIGNED], ["", ""]),
        ([ReasoningDelta(""), ReasoningDelta("A"), ReasoningDelta("")], ["A"]),
    ],
)
def test_each_reasoning_with_a_signature_of_its_own_is_an_item(parts: list[AnswerPart], texts: list[str]) -> None:
    found = output(*parts)
    assert [(each.get("content") or each["summary"] or [{"text": ""}])[0]["text"] for each in found] == texts


def test_a_call_has_all_its_events() -> None:
    stream = stream_of([CallStart(0, "c", "f", namespace="n"), CallDelta(0, '{"a"'), CallDelta(0, ":1}"), CallEnd(0)])
    kind = "function_call_arguments"
    assert types_of(stream)[2:-1] == ["output_item.added", *[f"{kind}.delta"] * 2, f"{kind}.done", "output_item.done"]
    added, delta, _, arguments, done = events_of(stream)[2:-1]
    assert (added["item"]["arguments"], added["item"]["status"], added["item"]["namespace"]) == ("", "in_progress", "n")
    assert (delta["item_id"], delta["delta"]) == ("fc_abc_0", '{"a"')
    assert (arguments["arguments"], arguments["name"], done["item"]["arguments"]) == ('{"a":1}', "f", '{"a":1}')
    assert done["item"]["status"] == "completed"


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """Codex cannot read an empty text."""
    stream = stream_of([CallStart(0, "c", "f"), CallEnd(0)])
    assert [event["delta"] for event in events_of(stream) if "delta" in event] == ["{}"]


def test_a_custom_call_has_its_own_events() -> None:
    stream = stream_of([CallStart(0, "c", "exec", "custom"), CallDelta(0, "ls"), CallEnd(0)])
    kind = "custom_tool_call_input"
    assert types_of(stream)[2:-1] == ["output_item.added", f"{kind}.delta", f"{kind}.done", "output_item.done"]
    assert events_of(stream)[-2]["item"]["input"] == "ls"


def test_a_call_of_a_tool_of_openai_s_is_its_item() -> None:
    parts = [CallStart(0, "c", "shell"), CallDelta(0, '{"commands":'), CallDelta(0, '["ls"]}'), CallEnd(0)]
    stream = stream_of(parts, SHELL)
    assert types_of(stream)[2:-1] == ["output_item.added", "output_item.done"]
    (item,) = events_of(stream)[-1]["response"]["output"]
    assert (item["type"], item["id"], item["call_id"]) == ("shell_call", "sh_abc_0", "c")
    assert item["action"]["commands"] == ["ls"]


def test_a_call_that_breaks_the_schema_of_such_a_tool_is_a_function_s() -> None:
    """The client answers that it has no such function, and runs nothing."""
    (item,) = output(CallStart(0, "c", "shell"), CallDelta(0, "ls"), request=SHELL)
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", "shell", "ls")


def test_the_signature_of_a_call_is_an_item_before_it() -> None:
    signed, call = output(CallStart(0, "c", "f", blob=Blob("sig")), CallEnd(0), issuer="iss")
    assert blobs.unpack_call(signed["encrypted_content"]) == Blob("sig", issuer="iss")
    assert (call["type"], call["id"]) == ("function_call", "fc_abc_1")


def test_items_follow_the_parts() -> None:
    assert kinds(
        *(ReasoningDelta("A"), TextDelta("B"), RefusalDelta("C"), CallStart(0, "c", "f"), CallEnd(0)),
        *(TextDelta("D"), ReasoningDelta("E"), TextDelta("F"), Dropped("x"), TextDelta("G")),
    ) == ["reasoning", "output_text+refusal", "function_call", "output_text", "reasoning", "output_text"]


def test_parts_that_belong_nowhere_are_left_out() -> None:
    stray = [CallDelta(0, "x"), CallEnd(0), BlockEnd(), LogprobsPart([{}]), TextDelta(""), RefusalDelta("")]
    assert kinds(*stray) == []
