"""The items of a Responses request's input, decoded to messages.

Items of tools that OpenAI itself ran are left out and named.
Source: https://platform.openai.com/docs/api-reference/responses/create (input), and the parameter types of the package
openai 3.52
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from proxy.dialects.openai.responses.client.built_in_decoder import BuiltInDecoder
from proxy.dialects.openai.responses.client.content_decoder import ResponsesContentDecoder
from proxy.dialects.openai.responses.client.tools_decoder import ResponsesToolsDecoder
from proxy.dialects.openai.responses.client.turns import Turns, call_id, note_caller, note_status
from proxy.dialects.translation import blobs, members
from proxy.dialects.translation.conversation import ConversationMessage, Role, Text, ToolKind, ToolResult
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

UNSUPPORTED_STATE: Final = "unsupported_state"  # code of the error
STATE: Final = "It refers to what only OpenAI keeps. Send the whole conversation in 'input'."

_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
_ITEM: Final = frozenset({"type", "id", "status"})
_MESSAGE: Final = _ITEM | {"role", "content", "phase"}
_CALL: Final = _ITEM | {"call_id", "name", "namespace", "arguments", "input", "caller"}
_OUTPUT: Final = _ITEM | {"call_id", "name", "namespace", "output", "caller"}
_REASONING: Final = _ITEM | {"summary", "content", "encrypted_content"}
_TOOLS: Final = _ITEM | {"role", "tools"}
_PART: Final = frozenset({"type", "text"})
_UPDATE: Final = _ITEM | {"reasoning", "text"}

# What OpenAI's own tools did.
_HOSTED: Final = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"}
    | {"mcp_list_tools", "mcp_call", "mcp_approval_request", "program", "program_output"}
)
_NO_COUNTERPART: Final = "Items of this type have no counterpart there."
_REASONS: Final = {
    "compaction": "It holds a part of the conversation that only OpenAI can read.",
    "compaction_trigger": "Only OpenAI can shorten the conversation this way.",
    "mcp_approval_response": "It is for a tool that only OpenAI runs.",
}


class ResponsesInputDecoder:
    """Decodes one request's input. ``tools`` gets those that stand in the input.

    ``updates``: the items ``configuration_update`` with their index, whose settings count from then on.
    """

    __slots__ = ("_built_in", "_content", "_losses", "_tools", "_turns", "updates")

    def __init__(self, content: ResponsesContentDecoder, tools: ResponsesToolsDecoder, losses: Losses) -> None:
        self._content = content
        self._tools = tools
        self._losses = losses
        self._turns = Turns()
        self._built_in = BuiltInDecoder(self._turns, tools, losses)
        self.updates: list[tuple[int, JsonObject]] = []

    def decode(self, body: JsonObject) -> list[ConversationMessage]:
        """``instructions`` and ``input``. Raises Untranslatable for items that only OpenAI knows."""
        instructions, given = members.text(body, "instructions"), body.get("input")
        if instructions:
            self._turns.add("system", [Text(instructions)])
        if isinstance(given, str):
            if given:
                self._turns.add("user", [Text(given)])
            return self._turns.messages
        if given is not None and not isinstance(given, list):
            raise WrongMember("input", "a string or an array")
        for index, item in enumerate(members.objects(body, "input")):
            with Within(f"input[{index}]"):
                self._item(item)
            if item.get("type") == "configuration_update":
                self.updates.append((index, item))
        return self._turns.messages

    def _item(self, item: JsonObject) -> None:
        kind = members.text(item, "type")
        if not kind:
            kind = "message" if "role" in item else "item_reference"
        decode = _DECODERS.get(kind)
        if decode is not None:
            decode(self, item)
        elif kind in _HOSTED:
            self._losses.drop(f"input[{kind}]")
        elif kind == "item_reference":
            raise Untranslatable("type", STATE, code=UNSUPPORTED_STATE)
        elif not self._built_in.decode(kind, item):
            raise Untranslatable("type", _REASONS.get(kind, _NO_COUNTERPART))

    def _note(self, item: JsonObject, known: frozenset[str]) -> None:
        """Note the members that are lost."""
        self._losses.drop(*members.unknown(item, known, "input[]."))
        note_status(item, self._losses)

    def _message(self, item: JsonObject) -> None:
        self._note(item, _MESSAGE)
        role = _ROLES.get(members.text(item, "role"))
        if role is None:
            raise WrongMember("role", "user, assistant, system or developer")
        content, phase = self._content.message(item), members.text(item, "phase")
        if role != "assistant" and phase:
            self._losses.drop("input[].phase")
        if content and role == "assistant":
            self._turns.answer(content, phase)
        elif content:
            self._turns.add(role, content)

    def _reasoning(self, item: JsonObject) -> None:
        """Where an answer was translated, its summary is the model's own text: see ``blobs.py``."""
        self._note(item, _REASONING)
        sealed = members.text(item, "encrypted_content")
        signature = blobs.unpack_call(sealed)
        if signature is not None:
            self._turns.signature = signature
            return
        content, summary = "".join(self._texts(item, "content")), "\n\n".join(self._texts(item, "summary"))
        reasoning = blobs.unpack(sealed, "encrypted")
        reasoning.id = members.text(item, "id")
        if not reasoning.text:
            if content and summary:
                self._losses.drop("input[].summary")
            reasoning.text = content or summary
            reasoning.summary = bool(summary) and not content and not sealed.startswith(blobs.PREFIX)
        if reasoning.text or reasoning.blob is not None:
            self._turns.answer([reasoning])
        else:
            self._losses.drop("input[reasoning]")

    def _texts(self, item: JsonObject, name: str) -> Iterator[str]:
        for index, each in enumerate(members.objects(item, name)):
            self._losses.drop(*members.unknown(each, _PART, f"input[].{name}[]."))
            with Within(f"{name}[{index}]"):
                yield members.text(each, "text")

    def _function_call(self, item: JsonObject) -> None:
        self._call(item, "arguments", "function")

    def _custom_call(self, item: JsonObject) -> None:
        self._call(item, "input", "custom")

    def _call(self, item: JsonObject, arguments: str, kind: ToolKind) -> None:
        self._note(item, _CALL)
        note_caller(item, self._losses)
        self._turns.call(
            call_id(item),
            members.required_text(item, "name"),
            members.text(item, arguments),
            kind,
            members.text(item, "namespace"),
        )

    def _function_output(self, item: JsonObject) -> None:
        self._output(item, "function")

    def _custom_output(self, item: JsonObject) -> None:
        self._output(item, "custom")

    def _output(self, item: JsonObject, kind: ToolKind) -> None:
        self._note(item, _OUTPUT)
        note_caller(item, self._losses)
        content = self._content.output(item)
        self._turns.result(ToolResult(call_id(item), content, kind=kind))

    def _more_tools(self, item: JsonObject) -> None:
        self._note(item, _TOOLS)
        self._tools.add(item)

    def _update(self, item: JsonObject) -> None:
        self._note(item, _UPDATE)
        if not (item.get("reasoning") or item.get("text")):
            self._losses.drop("input[configuration_update]")


_DECODERS: Final[dict[str, Callable[[ResponsesInputDecoder, JsonObject], None]]] = {
    "message": ResponsesInputDecoder._message,
    "reasoning": ResponsesInputDecoder._reasoning,
    "function_call": ResponsesInputDecoder._function_call,
    "function_call_output": ResponsesInputDecoder._function_output,
    "custom_tool_call": ResponsesInputDecoder._custom_call,
    "custom_tool_call_output": ResponsesInputDecoder._custom_output,
    "additional_tools": ResponsesInputDecoder._more_tools,
    "configuration_update": ResponsesInputDecoder._update,
}
