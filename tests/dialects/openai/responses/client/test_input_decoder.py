"""Items of the input in neutral terms."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation import blobs
from proxy.dialects.translation.conversation import Blob, Reasoning, Text, ToolCall, ToolResult
from proxy.errors import ClientFault, Untranslatable
from tests.support.responses import Json, decoded

CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "f",
    "arguments": '{"a":1}',
    "status": "completed",
}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "Fine."}
ANSWER = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]}


def turns(*items: Json) -> list[tuple[str, list[Any]]]:
    return [(message.role, message.content) for message in decoded(*items).messages]


@pytest.mark.parametrize(
    ("role", "neutral"), [("user", "user"), ("system", "system"), ("developer", "system"), ("assistant", "assistant")]
)
def test_roles(role: str, neutral: str) -> None:
    assert turns({"role": role, "content": "Hi"}) == [(neutral, [Text("Hi")])]


def test_a_role_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ClientFault) as caught:
        decoded({"role": "critic", "content": "Hi"})
    assert caught.value.param == "input[0].role"


def test_the_items_of_an_answer_are_one_message() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
    second = CALL | {"call_id": "c2"}
    found = turns(thought, ANSWER, CALL, second, OUTPUT, OUTPUT | {"call_id": "c2"}, {"role": "user", "content": "Go."})
    assert found == [
        (
            "assistant",
            [
                Reasoning("Hm.", summary=True, id="rs_1"),
                Text("Hi."),
                ToolCall("c1", "f", '{"a":1}'),
                ToolCall("c2", "f", '{"a":1}'),
            ],
        ),
        ("tool", [ToolResult("c1", [Text("Fine.")]), ToolResult("c2", [Text("Fine.")])]),
        ("user", [Text("Go.")]),
    ]


def test_texts_of_two_phases_are_two_messages() -> None:
    found = decoded(CALL, ANSWER | {"phase": "commentary"}, ANSWER | {"phase": "final_answer"}).messages
    assert [(message.phase, len(message.content)) for message in found] == [("commentary", 2), ("final_answer", 1)]


def test_a_call_of_a_namespace_and_one_of_a_custom_tool() -> None:
    custom = {"type": "custom_tool_call", "call_id": "c2", "name": "exec", "namespace": "n", "input": "ls"}
    (message,) = decoded(CALL | {"namespace": "n"}, custom).messages
    assert message.content == [
        ToolCall("c1", "f", '{"a":1}', namespace="n"),
        ToolCall("c2", "exec", "ls", "custom", "n"),
    ]
    (result,) = decoded({"type": "custom_tool_call_output", "call_id": "c2", "output": "a"}).messages
    assert result.content == [ToolResult("c2", [Text("a")], kind="custom")]


@pytest.mark.parametrize("name", ["call_id", "name"])
def test_a_call_without_its_name_or_id_is_refused(name: str) -> None:
    with pytest.raises(ClientFault) as caught:
        decoded(CALL | {name: None})
    assert caught.value.param == f"input[0].{name}"


# Reasoning


def reasoning(**members: Any) -> list[Any]:
    return [part for message in decoded({"type": "reasoning"} | members).messages for part in message.content]


def summary(*texts: str) -> list[Json]:
    return [{"type": "summary_text", "text": text} for text in texts]


def content(*texts: str) -> list[Json]:
    return [{"type": "reasoning_text", "text": text} for text in texts]


def test_reasoning_of_openai_s_has_a_summary_and_a_blob_of_unknown_issuer() -> None:
    found = reasoning(id="rs_1", summary=summary("A.", "B."), encrypted_content="gAAA")
    assert found == [Reasoning("A.\n\nB.", Blob("gAAA", "encrypted"), summary=True, id="rs_1")]


def test_thoughts_come_before_their_summary() -> None:
    found = decoded({"type": "reasoning", "content": content("A", "B"), "summary": summary("C")})
    assert (found.messages[0].content, found.dropped) == ([Reasoning("AB")], ["input[].summary"])


@pytest.mark.parametrize("shown", [True, False])
def test_reasoning_of_a_translated_answer_is_the_model_s_own(shown: bool) -> None:
    """Codex sends the summary back, but not the thoughts."""
    sealed = blobs.pack(Blob("sig"), "iss", "" if shown else "Hm.")
    found = reasoning(summary=summary("Hm.") if shown else [], encrypted_content=sealed)
    assert found == [Reasoning("Hm.", Blob("sig", issuer="iss"))]
    unsigned = blobs.pack(None, "iss", "" if shown else "Hm.")
    assert reasoning(summary=summary("Hm.") if shown else [], encrypted_content=unsigned) == [Reasoning("Hm.")]


def test_a_signature_belongs_to_the_call_after_it() -> None:
    sealed = blobs.pack_call(Blob("sig"), "iss")
    (message,) = decoded({"type": "reasoning", "summary": [], "encrypted_content": sealed}, CALL, CALL).messages
    signed, plain = message.content
    assert isinstance(signed, ToolCall)
    assert isinstance(plain, ToolCall)
    assert (signed.blob, plain.blob) == (Blob("sig", issuer="iss"), None)


def test_reasoning_without_anything_to_read_is_told() -> None:
    found = decoded({"type": "reasoning", "id": "rs_1", "summary": []}, CALL)
    assert found.dropped == ["input[reasoning]"]


# Tools within the input, and settings


def test_tools_within_the_input_are_the_request_s() -> None:
    exec_ = {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}
    found = decoded({"type": "additional_tools", "role": "developer", "tools": [exec_]}, tool_choice="auto")
    assert [(tool.namespace, tool.name, tool.kind) for tool in found.tools] == [("functions", "exec", "custom")]
    assert (found.tool_choice.mode, found.messages) == ("auto", [])


def test_the_last_update_of_the_settings_counts() -> None:
    updates: list[Json] = [
        {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {"format": {"type": "json_object"}}},
        {"type": "configuration_update", "reasoning": {"effort": "high"}},
    ]
    found = decoded(*updates, reasoning={"effort": "minimal"})
    assert found.thinking.effort == "high"
    assert found.output_format is not None
    assert decoded({"type": "configuration_update"}).dropped == ["input[configuration_update]"]
    back = decoded(*updates, {"type": "configuration_update", "text": {"format": {"type": "text"}}})
    assert back.output_format is None


# What cannot be carried


@pytest.mark.parametrize(
    "kind",
    ["web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call", "program"],
)
def test_what_openai_s_own_tools_did_is_told(kind: str) -> None:
    found = decoded({"type": kind, "id": "x"}, ANSWER)
    assert (found.dropped, len(found.messages)) == ([f"input[{kind}]"], 1)


def test_the_caller_of_a_call_is_told_if_it_is_a_program() -> None:
    assert decoded(CALL | {"caller": {"type": "direct"}}).dropped == []
    assert decoded(CALL | {"caller": {"type": "program", "caller_id": "p"}}).dropped == ["input[].caller"]


def test_what_openai_lets_out_is_refused_or_told_where_nobody_else_does() -> None:
    with pytest.raises(Untranslatable) as caught:
        decoded(OUTPUT | {"call_id": None, "name": "f"})
    assert caught.value.param == "input[0].call_id"
    assert decoded({"role": "user", "content": "Hi", "phase": "commentary"}).dropped == ["input[].phase"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("compaction", "only OpenAI can read"),
        ("compaction_trigger", "Only OpenAI can shorten"),
        ("computer_call_output", "no counterpart"),
        ("mcp_approval_response", "only OpenAI runs"),
        ("invented", "no counterpart"),
    ],
)
def test_an_item_that_only_openai_knows_is_refused_with_the_reason(kind: str, reason: str) -> None:
    with pytest.raises(Untranslatable, match=reason) as caught:
        decoded(ANSWER, {"type": kind})
    assert (caught.value.param, caught.value.code) == ("input[1].type", "untranslatable")
