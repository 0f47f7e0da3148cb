"""Tools that OpenAI defines and the client runs, as functions and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import (
    ResponseApplyPatchToolCall,
    ResponseFunctionShellToolCall,
    ResponseOutputItem,
    ResponseToolSearchCall,
)
from openai.types.responses.response_output_item import LocalShellCall
from pydantic import TypeAdapter

from proxy.dialects.openai.responses.client.built_in_tools import BY_CALL, DEFINITIONS

TEXTS = st.text(max_size=3)
ARGUMENTS = {
    "shell_call": st.fixed_dictionaries({"commands": st.lists(TEXTS)}, optional={"timeout_ms": st.integers(1, 9)}),
    "local_shell_call": st.fixed_dictionaries(
        {"command": st.lists(TEXTS)}, optional={"env": st.dictionaries(TEXTS, TEXTS), "working_directory": TEXTS}
    ),
    "apply_patch_call": st.one_of(
        st.fixed_dictionaries({"type": st.sampled_from(["create_file", "update_file"]), "path": TEXTS, "diff": TEXTS}),
        st.fixed_dictionaries({"type": st.just("delete_file"), "path": TEXTS}),
    ),
    "tool_search_call": st.dictionaries(TEXTS, TEXTS | st.integers()),
}
MODELS = {
    "shell_call": ResponseFunctionShellToolCall,
    "local_shell_call": LocalShellCall,
    "apply_patch_call": ResponseApplyPatchToolCall,
    "tool_search_call": ResponseToolSearchCall,
}


@pytest.mark.parametrize("call_type", BY_CALL)
@given(st.data())
def test_a_call_comes_back_with_its_arguments_after_a_round_trip(call_type: str, data: st.DataObject) -> None:
    given_ = data.draw(ARGUMENTS[call_type])
    tool = BY_CALL[call_type]
    members = tool.members_of(json.dumps(given_))
    assert members is not None
    item = {"id": "x", "type": call_type, "status": "completed", "call_id": "c", **members}
    MODELS[call_type].model_validate(item)
    TypeAdapter[Any](ResponseOutputItem).validate_python(item)
    back = json.loads(tool.arguments_of(item))
    assert back == ({"env": {}} | given_ if call_type == "local_shell_call" else given_)


@pytest.mark.parametrize(
    ("call_type", "arguments"),
    [
        ("shell_call", "{"),
        ("shell_call", "{}"),
        ("shell_call", ""),
        ("shell_call", '{"commands":"ls"}'),
        ("shell_call", '{"commands":["\ud83d"]}'),
        ("local_shell_call", '{"command":[1]}'),
        ("apply_patch_call", '{"type":"update_file","path":"a"}'),
        ("apply_patch_call", '{"type":"rename_file","path":"a"}'),
        ("tool_search_call", "[" * 100_000),
    ],
)
def test_arguments_that_are_not_those_of_the_tool_make_no_item(call_type: str, arguments: str) -> None:
    assert BY_CALL[call_type].members_of(arguments) is None


def test_a_function_describes_what_its_calls_need() -> None:
    for name, definition in DEFINITIONS.items():
        tool = BY_CALL[definition.call_type]
        assert (definition.name, tool.name) == (name, name)
        assert set(definition.parameters["required"]) <= set(definition.parameters["properties"])
        filler: dict[str, Any] = {"command": ["a"], "commands": ["a"], "type": "delete_file", "path": "a"}
        needed = {each: filler[each] for each in definition.parameters["required"]}
        assert tool.members_of(json.dumps(needed)) is not None
