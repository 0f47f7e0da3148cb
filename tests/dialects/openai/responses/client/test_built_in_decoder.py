"""Items about tools that OpenAI defines and the client runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.translation.conversation import Text, ToolCall, ToolResult
from proxy.errors import ClientFault
from tests.support.responses import Json, decoded

SHELL: Json = {
    "type": "shell_call",
    "id": "sh_1",
    "call_id": "c1",
    "status": "completed",
    "action": {"commands": ["ls", "pwd"], "timeout_ms": 10, "max_output_length": None},
}
PRINTED = [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]


def parts(*items: Json) -> list[Any]:
    return [part for message in decoded(*items).messages for part in message.content]


def test_a_shell_call_is_a_call_of_the_function_and_its_output_is_json() -> None:
    call, result = parts(SHELL, {"type": "shell_call_output", "call_id": "c1", "output": PRINTED})
    assert call == ToolCall("c1", "shell", '{"commands":["ls","pwd"],"timeout_ms":10}')
    assert json.loads(result.content[0].text) == PRINTED


def test_a_shell_of_openai_s_own_is_told() -> None:
    call = SHELL | {"environment": {"type": "container_reference", "container_id": "cntr_1"}}
    found = decoded(call, {"type": "shell_call_output", "call_id": "c1", "output": PRINTED})
    assert (found.messages, found.dropped) == ([], ["input[shell_call]", "input[shell_call_output]"])


@pytest.mark.parametrize("named", ["c1", "lsh_1"])
def test_the_output_of_a_local_shell_names_the_call_or_its_item(named: str) -> None:
    action = {"type": "exec", "command": ["ls"], "env": {"A": "b"}, "user": None}
    call = {"type": "local_shell_call", "id": "lsh_1", "call_id": "c1", "status": "completed", "action": action}
    assert parts(call, {"type": "local_shell_call_output", "id": named, "output": "a.txt"}) == [
        ToolCall("c1", "local_shell", '{"command":["ls"],"env":{"A":"b"}}'),
        ToolResult("c1", [Text("a.txt")]),
    ]


@pytest.mark.parametrize(
    ("output", "text", "is_error"),
    [
        ({"status": "completed"}, "completed", False),
        ({"status": "completed", "output": "Created."}, "Created.", False),
        ({"status": "failed", "output": "No such file."}, "No such file.", True),
    ],
)
def test_patches(output: Json, text: str, is_error: bool) -> None:
    operation = {"type": "create_file", "path": "a", "diff": "+b"}
    call = {"type": "apply_patch_call", "call_id": "c1", "status": "completed", "operation": operation}
    assert parts(call, {"type": "apply_patch_call_output", "call_id": "c1"} | output) == [
        ToolCall("c1", "apply_patch", '{"type":"create_file","path":"a","diff":"+b"}'),
        ToolResult("c1", [Text(text)], is_error),
    ]


FOUND = [
    {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "f", "parameters": {}}]},
    {"type": "function", "name": "g", "parameters": {}},
]


def test_tools_that_a_search_of_the_client_s_found_can_be_called_from_then_on() -> None:
    call = {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"query": "exec"}}
    output = {"type": "tool_search_output", "call_id": "c1", "execution": "client", "tools": FOUND}
    found = decoded(call, output)
    assert [(tool.namespace, tool.name) for tool in found.tools] == [("mcp", "f"), ("", "g")]
    assert parts(call, output) == [
        ToolCall("c1", "tool_search", '{"query":"exec"}'),
        ToolResult("c1", [Text("Tools that can be called now: mcp__f, g.")]),
    ]
    assert parts(call, output | {"tools": []})[1] == ToolResult("c1", [Text("No tool was found.")])


def test_a_search_of_openai_s_is_told_but_not_what_it_found() -> None:
    call = {"type": "tool_search_call", "call_id": None, "execution": "server", "arguments": {"paths": ["f"]}}
    output = {"type": "tool_search_output", "call_id": None, "execution": "server", "tools": FOUND}
    found = decoded(call, output)
    assert [tool.name for tool in found.tools] == ["f", "g"]
    assert (found.messages, found.dropped) == ([], ["input[tool_search_call]", "input[tool_search_output]"])


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (SHELL | {"call_id": None}, "call_id"),
        (SHELL | {"action": "ls"}, "action"),
        ({"type": "shell_call_output", "call_id": "c1", "output": "a"}, "output"),
        ({"type": "tool_search_output", "call_id": "c1", "tools": [{"type": "invented"}]}, "tools[0].type"),
    ],
)
def test_a_wrong_item_is_refused_with_the_member(item: Json, path: str) -> None:
    with pytest.raises(ClientFault) as caught:
        decoded(item)
    assert caught.value.param == f"input[0].{path}"
