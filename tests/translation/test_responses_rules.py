from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import pytest

from tests.support.upstream import Request
from tests.translation.responses_rules import KEY, MODEL, of_body, of_head

ASKED = {"type": "message", "role": "user", "content": "Hi"}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hm"}]}
THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "valid"}
CALL = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "a", "output": "b"}
CUSTOM_CALL = {"type": "custom_tool_call", "call_id": "a", "name": "f", "input": "x"}
CUSTOM_RESULT = {"type": "custom_tool_call_output", "call_id": "a", "output": "b"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
CUSTOM_TOOL = {"type": "custom", "name": "g"}
FORMAT = {"type": "json_schema", "name": "f", "schema": {"type": "object"}}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": ["string", "null"]}},
    "required": ["a"],
    "additionalProperties": False,
}
NESTED = CLOSED | {"properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}}}
MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
SEALED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
PICTURE = {"type": "input_image", "detail": "auto"}
UNSTORED = "items are not persisted when store is set to false"
OPEN = "'additionalProperties' is required to be supplied and to be false"
SOME = "'required' is required to be an array including every key in properties"


def refused(*items: Any, server: str = "openai", signatures: Collection[str] = ("valid",), **members: Any) -> list[str]:
    return list(of_body({"model": MODEL, "input": list(items) or "Hi"} | members, server, signatures))


def given(*parts: Any) -> dict[str, Any]:
    return ASKED | {"content": list(parts)}


@pytest.mark.parametrize(
    ("items", "members"),
    [
        ([ASKED, THOUGHT, CALL, RESULT, ASKED], {"tools": [TOOL], "tool_choice": "required"}),
        ([ASKED, THOUGHT, SAID, ASKED], {"include": [SEALED], "reasoning": {"effort": "max", "summary": "auto"}}),
        ([ASKED, CUSTOM_CALL, CUSTOM_RESULT], {"tools": [CUSTOM_TOOL, TOOL], "tool_choice": {"type": "custom", "name": "g"}}),
        ([], {"reasoning": {"effort": "none"}, "temperature": 1, "top_logprobs": 2, "include": [LOGPROBS]}),
        ([], {"tools": [TOOL | {"strict": True, "parameters": CLOSED}], "text": {"format": FORMAT | {"strict": True, "schema": CLOSED}}}),
        ([given({"type": "input_text", "text": "JSON"} | MARK)], {"text": {"format": {"type": "json_object"}}}),
        ([given(PICTURE | {"image_url": "data:image/png;base64,AA=="}, {"type": "input_file", "file_id": "file-1"})], {}),
        ([], {"stream": True, "stream_options": {"include_obfuscation": False}}),
    ],
)  # fmt: skip
def test_what_openai_takes_is_taken(items: list[Any], members: dict[str, Any]) -> None:
    assert refused(*items, **members) == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"model": ""}, "Missing required parameter: 'model'."),
        ({"input": []}, "Missing required parameter: 'input'."),
        ({"model": "claude-opus-4-8"}, "model: claude-opus-4-8"),
        ({"max_tokens": 9}, "max_tokens: is unknown"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options: only allowed with stream"),
        ({"previous_response_id": "resp_1"}, "previous_response_id: nothing is stored here"),
        ({"max_output_tokens": 15}, "max_output_tokens: integer below minimum value. Expected a value >= 16"),
        ({"max_output_tokens": 128_001}, "max_output_tokens: this model supports at most 128000"),
        ({"temperature": 1}, "Unsupported parameter: 'temperature' is not supported with this model."),
        ({"model": "gpt-4o", "temperature": 3}, "temperature: from 0 to 2"),
        ({"model": "gpt-4o", "top_p": 2}, "top_p: from 0 to 1"),
        ({"model": "gpt-4o", "top_logprobs": 2}, f"top_logprobs: only allowed with {LOGPROBS} in include"),
        ({"model": "gpt-4o", "top_logprobs": 21}, "top_logprobs: from 0 to 20"),
        ({"include": [LOGPROBS]}, "logprobs are not supported with reasoning models"),
        ({"model": "gpt-4o", "include": [SEALED]}, "Encrypted content is not supported with this model."),
        ({"model": "gpt-4o", "reasoning": {"effort": "low"}}, "Unsupported parameter: 'reasoning' is not supported with this model."),
        ({"reasoning": {"effort": "minimal"}}, "reasoning.effort: 'minimal' is not supported with this model"),
        ({"metadata": {"a": "b" * 513}}, "metadata: at most 16 pairs, of names up to 64 and values up to 512 characters"),
        ({"prompt_cache_key": "a" * 65}, "prompt_cache_key: string too long. Expected a string with maximum length 64"),
        ({"tools": [TOOL, CUSTOM_TOOL | {"name": "f"}]}, "tools: two of one name"),
        ({"tools": [CUSTOM_TOOL | {"name": "a.b"}]}, "tools: wrong name 'a.b'"),
        ({"tools": [TOOL | {"parameters": {"type": "array"}}]}, "tools: parameters must be a schema of an object"),
        ({"tools": [TOOL | {"parameters": {"type": "object"}, "strict": True}]}, f"tools: {OPEN}"),
        ({"tools": [{"type": "function", "name": "f"}]}, "tools[0].strict: is missing"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice: no tool ('function', 'g')"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "f"}]}}, "tool_choice: no tool ('custom', 'f')"),
        ({"tool_choice": "required"}, "Tool choice 'required' must be specified with 'tools' parameter."),
        ({"text": {"format": FORMAT | {"name": "a b"}}}, "text.format.name: wrong: 'a b'"),
        ({"text": {"format": FORMAT | {"schema": {"type": "array"}}}}, "text.format.schema: must be a schema of an object"),
        ({"text": {"format": FORMAT | {"schema": CLOSED | {"required": []}, "strict": True}}}, f"text.format.schema: {SOME}"),
        ({"text": {"format": FORMAT | {"schema": NESTED, "strict": True}}}, f"text.format.schema: {OPEN}"),
        ({"text": {"format": FORMAT}, "model": "gpt-5.4-pro"}, "text.format: 'json_schema' is not supported with this model"),
        ({"text": {"format": {"type": "json_object"}}}, "input must contain the word 'json' to use text.format of type 'json_object'"),
        ({"model": "gpt-5.5", "prompt_cache_options": {"mode": "implicit"}}, "prompt_cache_breakpoint: not supported with this model"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused(members: dict[str, Any], reason: str) -> None:
    assert reason in refused(**members)


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([ASKED, RESULT], "No tool call found for function call output with call_id a."),
        ([ASKED, RESULT, CALL], "No tool call found for function call output with call_id a."),
        ([ASKED, CALL, RESULT, RESULT], "No tool call found for function call output with call_id a."),
        ([ASKED, CUSTOM_CALL, RESULT], "No tool call found for function call output with call_id a."),
        ([ASKED, CALL, CUSTOM_RESULT], "No tool call found for custom tool call output with call_id a."),
        ([ASKED, CALL], "No tool output found for function call a."),
        ([ASKED, CUSTOM_CALL, ASKED], "No tool output found for custom tool call a."),
        ([ASKED, CALL, CALL, RESULT], "Duplicate call_id a."),
        ([CALL | {"call_id": ""}], "input[0]: call_id: from 1 to 64 characters: ''"),
        ([CALL | {"name": "a.b"}], "input[0]: name: 'a.b' does not match the pattern"),
        ([CALL | {"id": "call_1"}], "input[0]: id: expected an ID that begins with 'fc_', of at most 64 characters: call_1"),
        ([THOUGHT | {"id": "rs_1"}, SAID, THOUGHT | {"id": "rs_1"}, SAID], "Duplicate item found with id rs_1."),
        ([THOUGHT, ASKED], "Item 'None' of type 'reasoning' was provided without its required following item."),
        ([ASKED, THOUGHT], "Item 'None' of type 'reasoning' was provided without its required following item."),
        ([THOUGHT | {"encrypted_content": "foreign"}, SAID], "input[0]: The encrypted content could not be verified."),
        ([THOUGHT | {"content": [{"type": "reasoning_text", "text": "Hm"}]}, SAID], "input[0]: content: array too long. Expected an array with maximum length 0"),
        ([{"type": "reasoning", "summary": []}, SAID], f"input[0]: {UNSTORED}"),
        ([{"type": "item_reference", "id": "msg_1"}], f"input[0]: {UNSTORED}"),
        ([ASKED | {"role": "tool"}], "input[0].role: 'tool' is none of ('user', 'assistant', 'system', 'developer')"),
        ([SAID | {"content": [{"type": "input_text", "text": "Hi"}]}], "input[0]: Invalid value: 'input_text'. Supported values are: ['output_text', 'refusal']."),
        ([given({"type": "text", "text": "Hi"})], "input[0]: Invalid value: 'text'. Supported values are: ['input_file', 'input_image', 'input_text']."),
        ([given(PICTURE)], "input[0]: input_image: one of image_url and file_id"),
        ([given(PICTURE | {"image_url": "data:image/tiff;base64,AA=="})], "input[0]: input_image: wrong address data:image/tiff;base64,AA=="),
        ([CALL, RESULT | {"output": [PICTURE | {"file_id": "1"}]}], "input[1]: file_id: expected an ID that begins with 'file': 1"),
        ([given({"type": "input_file", "filename": "a"})], "input[0]: input_file: one of file_data, file_id and file_url"),
        ([given({"type": "input_file", "file_data": "data:text/plain;base64,AA=="})], "input[0]: input_file: file_data must be a data address, with a filename"),
        ([given({"type": "input_file", "file_url": "gs://a"})], "input[0]: input_file: wrong address gs://a"),
    ],
)  # fmt: skip
def test_wrong_items_are_refused(items: list[Any], reason: str) -> None:
    assert reason in refused(*items)


@pytest.mark.parametrize(("item_id", "taken"), [("rs_1", True), (None, True), ("rs_2", False)])
def test_encrypted_content_comes_back_with_the_id_of_its_item_or_none(item_id: str | None, taken: bool) -> None:
    thought = THOUGHT if item_id is None else THOUGHT | {"id": item_id}
    reasons = refused(thought, SAID, signatures={"valid": "rs_1"})
    mismatch = "input[0]: The encrypted content's item_id did not match the target item id."
    assert reasons == ([] if taken else [mismatch])


@pytest.mark.parametrize(
    ("items", "members", "reason"),
    [
        ([ASKED | {"role": "developer"}], {}, "unknown role developer"),
        ([CUSTOM_CALL, CUSTOM_RESULT], {}, "custom tools are unknown here"),
        ([SAID | {"phase": "commentary"}], {}, "phase: is unknown here"),
        ([given({"type": "input_text", "text": "Hi"} | MARK)], {}, "prompt_cache_breakpoint: is unknown here"),
        ([], {"tools": [CUSTOM_TOOL]}, "tools: functions only"),
        ([], {"text": {"verbosity": "low"}}, "text.verbosity: is unknown here"),
        ([], {"service_tier": "flex"}, "service_tier: is unknown here"),
    ],
)
def test_only_openai_takes_what_is_its_own(items: list[Any], members: dict[str, Any], reason: str) -> None:
    assert set(refused(*items, server="groq", **members)) == {reason}
    assert refused(*items, server="azure", **members) == []


def test_a_server_that_is_only_compatible_has_any_model() -> None:
    body = {"model": "glm-5.3", "temperature": 1, "reasoning": {"effort": "high"}}
    assert refused(THOUGHT, CALL, RESULT, server="groq", tools=[TOOL], **body) == []


@pytest.mark.parametrize(
    ("target", "headers", "reasons"),
    [
        ("/v1/responses", [("Authorization", f"Bearer {KEY}"), ("OpenAI-Beta", "a")], []),
        ("/v1/chat/completions", [("Authorization", "Bearer k")], ["unknown path /v1/chat/completions", "wrong key"]),
        ("/v1/responses", [("authorization", f"Bearer {KEY}"), ("X-Goog-Api-Client", "a")], ["header of another API: X-Goog-Api-Client"]),
        ("/v1/responses", [("authorization", f"Bearer {KEY}"), ("anthropic-beta", "a")], ["header of another API: anthropic-beta"]),
    ],
)  # fmt: skip
def test_the_head_is_that_of_a_request_of_this_api(
    target: str, headers: list[tuple[str, str]], reasons: list[str]
) -> None:
    request = Request("POST", target, "HTTP/1.1", headers, connection=cast(Any, None), number=0, raw_head=b"")
    assert list(of_head(request)) == reasons
