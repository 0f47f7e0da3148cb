from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from proxy.demo.gemini.call import GeminiCountCall, GenerateCall, decode
from proxy.demo.reply import Ask


def turn(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


def result(response: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [{"functionResponse": {"name": "clock", "response": response}}]}


def call(*contents: Any, **more: Any) -> GenerateCall:
    found: GenerateCall = decode(json.dumps({"contents": contents, **more}).encode(), GenerateCall, "demo")
    return found


def ask(*contents: Any, **more: Any) -> Ask:
    return call(*contents, **more).ask


def test_the_prompt_is_the_last_text_of_the_user() -> None:
    found = ask(turn("one"), turn("two", "model"), turn("three"), systemInstruction={"parts": [{"text": "zero"}]})
    assert (found.prompt, found.text.split(), found.tool_result) == ("three", ["zero", "one", "two", "three"], None)


def test_the_path_names_the_model() -> None:
    assert call(turn("hi")).model == "demo"
    assert call(turn("hi"), model="models/other").model == "demo"


def test_contents_may_be_one_object() -> None:
    body = json.dumps({"contents": {"parts": [{"text": "one"}]}}).encode()
    assert decode(body, GenerateCall, "demo").ask.prompt == "one"


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"output": "noon"}, "noon"),
        ({"result": "noon"}, "noon"),
        ({"error": "no clock"}, "no clock"),
        ({"hour": 12}, '{"hour":12}'),
    ],
)
def test_a_result_of_a_function_is_its_text(response: Any, text: str) -> None:
    found = ask(turn("one"), result(response))
    assert (found.prompt, found.tool_result) == ("one", text)
    assert found.text.endswith(text)


def test_names_may_be_in_snake_case_and_numbers_strings() -> None:
    schema = {"type": "OBJECT", "properties": {"a_b": {"type": "STRING"}}}
    config = {"max_output_tokens": "7", "response_mime_type": "application/json", "response_schema": schema}
    found = ask(turn("hi"), generation_config=config, system_instruction={"parts": [{"text": "zero"}]})
    assert (found.limit, found.json, found.schema) == (7, True, schema)
    assert found.text.startswith("zero")


def test_null_counts_as_absent() -> None:
    found = ask(turn("hi"), tools=None, generationConfig={"maxOutputTokens": None}, toolConfig=None)
    assert (found.tools, found.limit) == ([], None)


def test_functions_of_all_tools_are_offered() -> None:
    tools = [
        {"googleSearch": {}},
        {"functionDeclarations": [{"name": "clock"}, {"name": "a", "parameters": {"type": "OBJECT"}}]},
        {"function_declarations": [{"name": "b", "parametersJsonSchema": {"type": "object", "x_y": 1}}]},
    ]
    found = ask(turn("hi"), tools=tools)
    assert [(tool.name, tool.parameters) for tool in found.tools] == [
        ("clock", {}),
        ("a", {"type": "OBJECT"}),
        ("b", {"type": "object", "x_y": 1}),
    ]


@pytest.mark.parametrize(
    ("calling", "expected"),
    [
        ({"mode": "AUTO"}, None),
        ({"mode": "VALIDATED"}, None),
        ({"mode": "NONE"}, "none"),
        ({"mode": "ANY"}, "required"),
        ({"mode": "ANY", "allowedFunctionNames": ["clock", "other"]}, {"name": "clock"}),
    ],
)
def test_a_mode_has_the_words_of_the_demo(calling: Any, expected: Any) -> None:
    assert ask(turn("hi"), toolConfig={"functionCallingConfig": calling}).tool_choice == expected


@pytest.mark.parametrize(
    "body",
    [
        {"contents": turn("a b")},
        {"contents": [turn("a"), turn("b", "model")]},
        {"generateContentRequest": {"model": "models/demo", "contents": [turn("a b")]}},
        {"generate_content_request": {"contents": [turn("b")], "system_instruction": {"parts": [{"text": "a"}]}}},
    ],
)
def test_a_count_reads_contents_or_a_whole_request(body: Any) -> None:
    assert decode(json.dumps(body).encode(), GeminiCountCall, "demo").text.split() == ["a", "b"]


def test_nothing_counts_as_no_text() -> None:
    assert decode(b"{}", GeminiCountCall, "demo").text == ""


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"contents":[]}', b'{"contents":"hi"}', b'{"contents":[{"parts":1}]}']
)
def test_an_invalid_body_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(body, GenerateCall, "demo")
