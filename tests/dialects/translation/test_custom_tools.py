from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.calls import CallParts
from proxy.dialects.translation.conversation import ToolDefinition
from proxy.dialects.translation.custom_tools import as_arguments, as_function
from proxy.dialects.translation.parts import AnswerPart, CallDelta, CallStart
from proxy.dialects.translation.tool_names import ToolNames

LARK = {"syntax": "lark", "definition": "start: /a+/"}


def test_the_description_of_the_function_has_the_grammar() -> None:
    tool = ToolDefinition("patch", "Patch a file.", kind="custom", grammar=LARK)
    found = as_function(tool)
    assert found.kind == "function"
    assert found.description == "Patch a file.\n\nThe argument `input` must match this lark grammar:\nstart: /a+/"
    assert found.parameters["required"] == ["input"]
    assert tool.kind == "custom"


@pytest.mark.parametrize("grammar", [None, {}, "lark"])
def test_a_tool_without_a_grammar_keeps_its_description(grammar: Any) -> None:
    assert as_function(ToolDefinition("f", "Text.", kind="custom", grammar=grammar)).description == "Text."


@pytest.mark.parametrize("text", ["", 'a "quoted"\ntext', "\ud83d"])
def test_the_text_comes_out_of_the_arguments_again(text: str) -> None:
    names = ToolNames()
    names.add(ToolDefinition("patch", kind="custom"))
    calls = CallParts(names, "call_", sequential=False)
    parts: list[AnswerPart] = [CallStart(0, "a", "patch"), CallDelta(0, as_arguments(text))]
    found = [each for part in parts for each in calls.pass_on(part)] + list(calls.end())
    assert "".join(part.text for part in found if isinstance(part, CallDelta)) == text
