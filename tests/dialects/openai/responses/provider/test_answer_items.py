from __future__ import annotations

from proxy.dialects.translation.conversation import Blob
from proxy.dialects.translation.parts import (
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    Dropped,
    Finish,
    ReasoningBlob,
    ReasoningDelta,
    TextDelta,
)
from tests.support.response_events import completed, delta, done, event, message, parts, text_delta

CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "patch", "input": "text"}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
    "encrypted_content": "gAAA",
}
SEALED = ReasoningBlob(Blob("rs_1:gAAA", "encrypted"))


def added(item: dict[str, object], output_index: int = 0) -> dict[str, object]:
    return event("output_item.added", output_index=output_index, item=item | {"arguments": "", "input": ""})


def test_a_call_comes_in_pieces() -> None:
    assert parts(
        added(CALL), delta("function_call_arguments", '{"a"'), delta("function_call_arguments", ":1}"), done(CALL)
    ) == [
        CallStart(0, "c1", "f"),
        CallDelta(0, '{"a"'),
        CallDelta(0, ":1}"),
        CallEnd(0),
    ]


def test_a_call_of_which_only_the_end_came_is_whole() -> None:
    assert parts(done(CALL)) == [CallStart(0, "c1", "f"), CallDelta(0, '{"a":1}'), CallEnd(0)]


def test_missing_arguments_are_made_up_for() -> None:
    assert parts(added(CALL), delta("function_call_arguments", '{"a'), done(CALL))[1:] == [
        CallDelta(0, '{"a'),
        CallDelta(0, '":1}'),
        CallEnd(0),
    ]


def test_calls_that_interleave_keep_their_numbers() -> None:
    found = parts(
        added(CALL),
        added(CUSTOM, 1),
        delta("custom_tool_call_input", "text", 1),
        delta("function_call_arguments", '{"a":1}'),
        done(CUSTOM, 1),
        done(CALL),
    )
    assert found == [
        CallStart(0, "c1", "f"),
        CallStart(1, "c2", "patch", "custom"),
        CallDelta(1, "text"),
        CallDelta(0, '{"a":1}'),
        CallEnd(1),
        CallEnd(0),
    ]


def test_arguments_of_nothing_and_calls_without_a_name_are_left_out() -> None:
    assert parts(delta("function_call_arguments", "{}"), done({"type": "function_call", "arguments": "{}"})) == []


def test_the_parts_of_a_summary_are_one_text_with_one_blob() -> None:
    found = parts(
        delta("reasoning_summary_text", "One.", summary_index=0),
        delta("reasoning_summary_text", "Two.", summary_index=1),
        done(THOUGHT),
    )
    assert found == [
        ReasoningDelta("One.", True),
        ReasoningDelta("\n\n", True),
        ReasoningDelta("Two.", True),
        SEALED,
        BlockEnd(),
    ]
    assert parts(done(THOUGHT)) == found


def test_reasoning_may_be_its_own_text() -> None:
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    assert parts(delta("reasoning_text", "Hm.", content_index=0), done(item)) == [ReasoningDelta("Hm."), BlockEnd()]


def test_encrypted_content_of_an_item_that_only_began_is_not_read() -> None:
    assert parts(event("output_item.added", output_index=0, item=THOUGHT)) == []


def test_an_item_that_is_complete_twice_is_read_once() -> None:
    assert parts(done(message("Hi")), done(message("Hi")), completed(message("Hi"))) == [
        TextDelta("Hi"),
        BlockEnd(),
        Finish("stop"),
    ]


def test_items_are_read_at_the_end_where_none_was_complete_before() -> None:
    assert parts(text_delta("H"), completed(message("Hi"), CALL)) == [
        TextDelta("H"),
        TextDelta("i"),
        BlockEnd(),
        CallStart(0, "c1", "f"),
        CallDelta(0, '{"a":1}'),
        CallEnd(0),
        Finish("tool_calls"),
    ]


def test_an_item_whose_id_changes_is_not_read_again() -> None:
    """GitHub Copilot has another id in every event."""
    assert parts(done(message("Hi")), completed(message("Hi", id="msg_2"))) == [
        TextDelta("Hi"),
        BlockEnd(),
        Finish("stop"),
    ]


def test_what_only_the_provider_runs_is_told() -> None:
    found = parts(done({"type": "web_search_call", "id": "ws_1"}), done(message("Hi", phase="final_answer"), 1))
    assert found == [Dropped("web_search_call"), TextDelta("Hi"), BlockEnd(), Dropped("phase")]
