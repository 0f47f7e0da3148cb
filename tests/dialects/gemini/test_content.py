from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.gemini.content import of_list
from proxy.dialects.json_estimate import Content, Unknown


def count(*parts: Any) -> Content:
    return of_list(json.dumps([{"parts": list(parts)}]).encode())


def test_no_contents_are_nothing() -> None:
    assert of_list(b"[]") == Content()
    assert count() == Content()


@pytest.mark.parametrize(
    "names",
    [("functionCall", "executableCode", "codeExecutionResult", "toolCall", "toolResponse"),
     ("function_call", "executable_code", "code_execution_result", "tool_call", "tool_response")],
)  # fmt: skip
def test_calls_and_code_count_by_their_json(names: tuple[str, ...]) -> None:
    for name in names:
        value = {"name": "f", "args": {"x": "y" * 50}}
        assert count({name: value}) == Content(text=len(json.dumps(value)))


@pytest.mark.parametrize("name", ["functionResponse", "function_response"])
def test_the_result_of_a_function_counts_with_its_images(name: str) -> None:
    response = {"output": "x" * 50}
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    found = count({name: {"name": "f", "response": response, "parts": [image, {"text": "ab"}]}})
    assert found == Content(text=len(json.dumps(response)) + 2, images=1)
    assert count({name: {}}) == Content()


def test_a_thought_counts_as_text_and_its_signature_not() -> None:
    assert count({"text": "hmm", "thought": True, "thoughtSignature": "c2ln" * 100}) == Content(text=3)


@pytest.mark.parametrize(
    "raw", [b"", b"[", b"{}", b"[{}]", b"[5]", b'[{"parts":[{}]}]', b'[{"parts":[{"x":1}]}]', b'[{"parts":[{"text":5}]}]',
            b'[{"parts":[{"functionResponse":{"parts":[{}]}}]}]', b'[{"parts":[{"text":"\\ud800"}]}]',
            b"[" + b'{"content":' * 5000 + b"{}" + b"}" * 5000 + b"]"],
    ids=lambda raw: raw[:40].decode(),
)  # fmt: skip
def test_other_shapes_are_unknown(raw: bytes) -> None:
    with pytest.raises(Unknown):
        of_list(raw)
