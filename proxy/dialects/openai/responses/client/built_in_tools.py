"""Tools that OpenAI defines and the client runs: a shell, edits of files, and the search for more tools.

Another provider gets each as a function of the same name, whose arguments are the documented members of its calls. The
calls go back to the client as the items that it knows.
Source: https://platform.openai.com/docs/guides/tools, and the types of the package openai 3.52
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import ToolDefinition
from proxy.dialects.translation.members import JsonObject
from proxy.wire import document


class ShellAction(Struct):
    commands: list[str]
    timeout_ms: int | None = None
    max_output_length: int | None = None


class LocalShellAction(Struct, tag="exec", tag_field="type"):
    command: list[str]
    env: dict[str, str] = {}
    timeout_ms: int | None = None
    user: str | None = None
    working_directory: str | None = None


class CreateFile(Struct, tag="create_file", tag_field="type"):
    path: str
    diff: str


class UpdateFile(Struct, tag="update_file", tag_field="type"):
    path: str
    diff: str


class DeleteFile(Struct, tag="delete_file", tag_field="type"):
    path: str


class BuiltInTool(Struct, frozen=True, eq=False):
    """The items of a tool's calls.

    ``name``: of the function. ``call_type``: of the items. ``member``: the one that holds the arguments, which are of
    the type ``arguments``. ``constant``: member of these that is always the same. ``more``: such members of the items.
    ``prefix``: of the items' ids.
    """

    name: str
    call_type: str
    member: str
    arguments: Any
    prefix: str
    constant: str | None = None
    more: dict[str, Any] = {}

    def members_of(self, arguments: str) -> dict[str, Any] | None:
        """Members of an item for the JSON text of a call; ``None`` if the model did not keep to the schema."""
        try:
            found = msgspec.json.decode(arguments or "{}", type=self.arguments)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
        return {self.member: msgspec.to_builtins(found), **self.more}

    def arguments_of(self, item: JsonObject) -> str:
        """The JSON text of a call that the client sent back. Raises WrongMember."""
        found = members.required_mapping(item, self.member)
        kept = {name: value for name, value in found.items() if value is not None and name != self.constant}
        return document.encode(kept).decode()


def _function(name: str, call_type: str, description: str, required: list[str], **properties: Any) -> ToolDefinition:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return ToolDefinition(name, description, parameters, call_type=call_type)


_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_COUNT: Final = {"type": "integer", "minimum": 1}
_MILLISECONDS: Final = _COUNT | {"description": "Most milliseconds that it may run."}

_SHELL: Final = _function(
    "shell",
    "shell_call",
    "Runs shell commands, one after the other, and returns what they print.",
    ["commands"],
    commands=_TEXTS,
    timeout_ms=_MILLISECONDS,
    max_output_length=_COUNT | {"description": "Most characters of the output."},
)
_LOCAL_SHELL: Final = _function(
    "local_shell",
    "local_shell_call",
    "Runs a program, and returns what it prints.",
    ["command"],
    command=_TEXTS | {"description": "The program and its arguments, such as bash, -lc and a script."},
    env={"type": "object", "additionalProperties": _TEXT, "description": "More environment variables."},
    timeout_ms=_MILLISECONDS,
    user=_TEXT | {"description": "The user who runs it."},
    working_directory=_TEXT,
)
_APPLY_PATCH: Final = _function(
    "apply_patch",
    "apply_patch_call",
    "Creates, updates or deletes a file. The diff of a new file has a + before each line. In the diff of an update each"
    " line begins with a space (unchanged), - (removed) or + (added), and @@ begins a section; there are no line"
    " numbers. A deletion has no diff.",
    ["type", "path"],
    type={"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
    path=_TEXT,
    diff=_TEXT,
)

# By the type of the tool. The search for tools is described by the client.
DEFINITIONS: Final = {"shell": _SHELL, "local_shell": _LOCAL_SHELL, "apply_patch": _APPLY_PATCH}
_TOOLS: Final = (
    BuiltInTool("shell", "shell_call", "action", ShellAction, "sh_"),
    BuiltInTool("local_shell", "local_shell_call", "action", LocalShellAction, "lsh_", "type"),
    BuiltInTool("apply_patch", "apply_patch_call", "operation", CreateFile | UpdateFile | DeleteFile, "apc_"),
    BuiltInTool("tool_search", "tool_search_call", "arguments", dict[str, Any], "tsc_", None, {"execution": "client"}),
)
BY_CALL: Final = {tool.call_type: tool for tool in _TOOLS}
