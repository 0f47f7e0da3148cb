from __future__ import annotations

import pytest

from proxy.dialects.translation.conversation import (
    Blob,
    CacheMark,
    ContentSource,
    Image,
    Reasoning,
    Refused,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.chat_encoding import ISSUER, asking, message
from tests.support.responses_encoding import OPENAI, OTHER, encode, items

MARKED = ModelFacts(openai=True, cache_marks="breakpoint")
SEALED = Blob("rs_1:gAAA", "encrypted", ISSUER)


def test_the_first_system_messages_are_instructions() -> None:
    body = encode(asking(message("system", "Be brief."), message("system", "Be kind."), message("user", "Hi"))).body
    assert body["instructions"] == "Be brief.\n\nBe kind."
    assert len(body["input"]) == 1


def test_marked_system_text_is_a_message_as_instructions_cannot_be_marked() -> None:
    marked = message("system", Text("Be brief.", CacheMark()))
    body = encode(asking(marked, message("user", "Hi")), MARKED).body
    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "Be brief.", "prompt_cache_breakpoint": {"mode": "explicit"}}
    ]


@pytest.mark.parametrize(("facts", "role"), [(OPENAI, "developer"), (OTHER, "system")])
def test_a_later_system_message_stays_where_it_is(facts: ModelFacts, role: str) -> None:
    assert items(message("user", "Hi"), message("system", "Now in French."), facts=facts)[1] == {
        "type": "message",
        "role": role,
        "content": "Now in French.",
    }


def test_a_later_system_message_is_the_users_where_the_model_refuses_it() -> None:
    found = encode(asking(message("user", "Hi"), message("system", "Wait.")), ModelFacts(late_system=False))
    assert found.body["input"][1]["content"] == "<system>\nWait.\n</system>"
    assert found.dropped == ("messages[].role",)


def test_an_answer_keeps_the_order_of_its_text_and_calls() -> None:
    answer = message("assistant", "One. ", "Two.", ToolCall("c1", "f", '{"a":1}'), "Three.", ToolCall("c2", "f"))
    done = message("tool", ToolResult("c1", [Text("x")]), ToolResult("c2", []))
    assert items(message("user", "Hi"), answer, done)[1:] == [
        {"type": "message", "role": "assistant", "content": "One. Two."},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "message", "role": "assistant", "content": "Three."},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "x"},
        {"type": "function_call_output", "call_id": "c2", "output": "(no output)"},
    ]


def test_a_refusal_stays_one_at_openai_and_is_text_elsewhere() -> None:
    messages = message("assistant", Refused("No.")), message("user", "Why?")
    assert items(*messages)[0]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert items(*messages, facts=OTHER)[0]["content"] == "No."


def test_the_phase_of_an_answer_goes_back_to_openai() -> None:
    messages = message("assistant", "Let me see.", phase="commentary"), message("user", "Well?")
    assert items(*messages)[0]["phase"] == "commentary"
    assert encode(asking(*messages), OTHER).dropped == ("messages[]",)


def test_custom_calls_and_their_results_are_native_at_openai() -> None:
    messages = (
        message("assistant", ToolCall("c1", "patch", "text", "custom")),
        message("tool", ToolResult("c1", [Text("ok")], kind="custom")),
    )
    assert items(*messages) == [
        {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "text"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
    ]
    assert items(*messages, facts=OTHER) == [
        {"type": "function_call", "call_id": "c1", "name": "patch", "arguments": '{"input":"text"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
    ]


def test_a_result_with_an_image_is_a_list() -> None:
    result = ToolResult("c1", [Text("See:"), Image(ContentSource(data="QQ==", media_type="image/png"))])
    assert items(message("assistant", ToolCall("c1", "f")), message("tool", result))[1]["output"] == [
        {"type": "input_text", "text": "See:"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,QQ=="},
    ]


def test_a_failed_result_says_so() -> None:
    call = message("assistant", ToolCall("c1", "f"))
    assert items(call, message("tool", ToolResult("c1", [Text("no file")], True)))[1]["output"] == "Error: no file"
    image = Image(ContentSource(url="https://a.example/x"))
    assert items(call, message("tool", ToolResult("c1", [image], True)))[1]["output"][0]["text"] == "Error:"


def test_a_mark_on_a_result_marks_its_last_part() -> None:
    result = ToolResult("c1", [Text("x")], cache=CacheMark())
    found = items(message("assistant", ToolCall("c1", "f")), message("tool", result), facts=MARKED)
    assert "prompt_cache_breakpoint" in found[1]["output"][0]


def test_encrypted_reasoning_goes_back_before_what_it_led_to() -> None:
    answer = message("assistant", Reasoning("Hm.", SEALED), ToolCall("c1", "f"))
    sealed, call, _ = items(answer, message("tool", ToolResult("c1", [])))
    assert sealed == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm."}],
        "encrypted_content": "gAAA",
    }
    assert call["type"] == "function_call"


def test_reasoning_may_be_in_a_message_of_its_own() -> None:
    messages = message("assistant", Reasoning("", SEALED)), message("assistant", "Well."), message("user", "Yes?")
    assert [each["type"] for each in items(*messages)] == ["reasoning", "message", "message"]


@pytest.mark.parametrize(
    "reasoning",
    [Reasoning("Hm.", Blob("gAAA", "encrypted", "another")), Reasoning("", Blob("gAAA", "encrypted"))],
)
def test_reasoning_of_another_issuer_is_lost(reasoning: Reasoning) -> None:
    found = encode(asking(message("assistant", reasoning, "Well."), message("user", "Yes?")))
    assert [each["type"] for each in found.body["input"]] == ["message", "message"]
    assert "messages[].content[].data" in found.dropped


def test_reasoning_that_is_only_text_is_lost() -> None:
    found = encode(asking(message("assistant", Reasoning("Hm."), "Well."), message("user", "Yes?")))
    assert found.dropped == ("messages[].content[].thinking",)


def test_reasoning_that_led_to_nothing_is_lost() -> None:
    found = encode(asking(message("assistant", Reasoning("", SEALED)), message("user", "Hi")))
    assert [each["type"] for each in found.body["input"]] == ["message"]
    assert found.dropped == ("messages[].content[].data",)


def test_a_system_message_with_an_image_is_refused() -> None:
    with pytest.raises(Untranslatable):
        items(message("system", Image(ContentSource(url="https://a.example/x"))))


def test_ids_are_made_safe_alike_in_calls_and_results() -> None:
    call, result = items(message("assistant", ToolCall("a|b", "f")), message("tool", ToolResult("a|b", [])))
    assert call["call_id"] == result["call_id"] != "a|b"


def test_an_id_that_repeats_in_a_later_turn_is_made_another() -> None:
    turn = [message("assistant", ToolCall("call_0", "f")), message("tool", ToolResult("call_0", [Text("ok")]))]
    ids = [item["call_id"] for item in items(*turn, *turn)]
    assert ids[:2] == ["call_0", "call_0"]
    assert ids[2] == ids[3] == "call_0_2"


def test_the_name_of_an_author_is_lost() -> None:
    assert encode(asking(message("user", "Hi", name="ann"), source="openai.chat")).dropped == ("messages[].name",)
