from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.json_estimate import Content, Unknown, size
from proxy.dialects.openai.content import of_list


def counted(*items: Any) -> tuple[int, int, int]:
    found = of_list(json.dumps(items).encode())
    return found.text, found.images, found.audio


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("four", (4, 0, 0)),
        ({"role": "user", "content": "four"}, (4, 0, 0)),
        ({"role": "user", "name": "bob", "content": "four"}, (7, 0, 0)),
        ({"role": "assistant", "content": None, "refusal": "no"}, (2, 0, 0)),
        ({"role": "user", "content": ["four", {"type": "text", "text": "five5"}]}, (9, 0, 0)),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}, (0, 1, 0)),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "QUJD"}}]}, (0, 0, 1)),
        ({"role": "user", "content": [{"type": "file", "file": {"file_data": "QUJD"}}]}, (0, 1, 0)),
        (
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                    {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": "xy"}},
                ],
            },
            (11, 0, 0),
        ),
        ({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, (3, 0, 0)),
        ({"role": "tool", "tool_call_id": "call_1", "content": "21"}, (2, 0, 0)),
        # Responses
        ({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "four"}]}, (4, 0, 0)),
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, (3, 0, 0)),
        ({"type": "function_call_output", "call_id": "c", "output": "four"}, (4, 0, 0)),
        (
            {"type": "function_call_output", "output": [{"type": "input_text", "text": "a"}, {"type": "input_image"}]},
            (1, 1, 0),
        ),
        ({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "data:"}}, (0, 1, 0)),
        (
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "four"}], "encrypted_content": "QUJD"},
            (4, 0, 0),
        ),
        ({"type": "item_reference", "id": "msg_1"}, (0, 0, 0)),
        ({"type": "image_generation_call", "result": "QUJD"}, (0, 1, 0)),
        # Moderations
        ({"type": "text", "text": "four"}, (4, 0, 0)),
    ],
)
def test_texts_and_parts_are_counted(item: Any, expected: tuple[int, int, int]) -> None:
    assert counted(item) == expected
    assert counted(item, item) == tuple(2 * number for number in expected)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call"},
        {"content": [{"type": "hologram"}]},
        {"content": 5},
        {"content": {"text": "x"}},
        {"content": [5]},
        {"tool_calls": "f"},
        {"type": 5},
        5,
        None,
        ["nested"],
    ],
)
def test_an_unknown_type_is_not_guessed(item: Any) -> None:
    with pytest.raises(Unknown):
        counted({"content": "four"}, item)


def test_content_nested_too_deeply_is_unknown() -> None:
    depth = 400  # few enough for the decoder, whichever of both gives up first
    deep = b'[%b{"text":""}%b]' % (b'{"function_call":' * depth, b"}" * depth)
    try:
        assert of_list(deep) == Content()
    except Unknown:
        pass
    deeper = b'[%b{"text":""}%b]' % (b'{"function_call":' * 50_000, b"}" * 50_000)
    with pytest.raises(Unknown):
        of_list(deeper)


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("abc", 3), ("é", 2), ("中", 3), ("🎉", 4)])
def test_the_size_of_a_text_is_its_bytes(text: str, expected: int) -> None:
    assert size(text) == expected
