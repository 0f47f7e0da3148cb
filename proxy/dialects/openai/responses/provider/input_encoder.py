"""The messages of a conversation, as input items of the Responses API.

https://platform.openai.com/docs/api-reference/responses/create (input)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from proxy.dialects.openai.chat import cache_breakpoints
from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.responses.provider.content_encoder import ResponsesContentEncoder, joined
from proxy.dialects.openai.responses.provider.sealed_reasoning import item_of
from proxy.dialects.translation.call_ids import CallIds
from proxy.dialects.translation.conversation import (
    ConversationMessage,
    Reasoning,
    Refused,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.dialects.translation.custom_tools import as_arguments
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

_NO_OUTPUT: Final = "(no output)"
_FAILED: Final = "Error: "


class ResponsesInputEncoder:
    """Encodes the messages of one request.

    Reasoning waits until the item that it led to: OpenAI refuses reasoning without one.
    """

    __slots__ = ("_content", "_encoding", "_ids", "_items", "_reasoning", "_results", "_system")

    def __init__(self, encoding: ChatEncoding) -> None:
        self._encoding = encoding
        self._content = ResponsesContentEncoder(encoding, encoding.client.content)
        self._results = ResponsesContentEncoder(encoding, encoding.client.result)
        self._system = ResponsesContentEncoder(encoding, encoding.client.system)
        self._ids = CallIds()
        self._items: list[JsonObject] = []
        self._reasoning: list[JsonObject] = []

    def encode(self, messages: Sequence[ConversationMessage], *, instructed: bool) -> JsonObject:
        """``instructions`` and ``input``. ``instructed``: the first system messages may be ``instructions``.

        Raises Untranslatable for content that the API lacks.
        """
        first = 0
        while first < len(messages) and messages[first].role == "system":
            first += 1
        system = [part for message in messages[:first] for part in self._system_parts(message, self._system)]
        for message in messages[first:]:
            self._add(message)
        self._drop_reasoning()
        instructions = joined(system)
        if instructed and instructions and self._items:
            return {"instructions": instructions, "input": self._items}
        if system:
            self._items.insert(0, self._message(self._system_role, system))
        return {"input": self._items}

    @property
    def _system_role(self) -> str:
        return "developer" if self._encoding.facts.openai else "system"

    def _add(self, message: ConversationMessage) -> None:
        if message.name:
            self._encoding.losses.drop(self._encoding.client.name)
        if message.role != "assistant":
            self._drop_reasoning()
        match message.role:
            case "system":
                self._add_late_system(message)
            case "user":
                self._add_message("user", list(self._content.parts(message.content)))
            case "tool":
                self._items += [self._result(part) for part in message.content if isinstance(part, ToolResult)]
            case "assistant":
                self._add_answer(message)

    def _message(self, role: str, parts: list[JsonObject]) -> JsonObject:
        text = joined(parts)
        return {"type": "message", "role": role, "content": parts if text is None else text}

    def _add_message(self, role: str, parts: list[JsonObject]) -> None:
        if parts:
            self._items.append(self._message(role, parts))

    def _system_parts(self, message: ConversationMessage, encoder: ResponsesContentEncoder) -> list[JsonObject]:
        if any(not isinstance(part, Text) for part in message.content):
            raise Untranslatable(self._encoding.client.message_content, "A system message can have text only.")
        return list(encoder.parts(message.content))

    def _add_late_system(self, message: ConversationMessage) -> None:
        parts = self._system_parts(message, self._content)
        if self._encoding.facts.late_system or not parts:
            self._add_message(self._system_role, parts)
            return
        self._encoding.losses.drop(self._encoding.client.role)  # the model's template refuses it
        for part in parts:
            part["text"] = f"<system>\n{part['text']}\n</system>"
        self._add_message("user", parts)

    def _add_answer(self, message: ConversationMessage) -> None:
        """The items of an assistant's message, in its order."""
        said: list[Text | Refused] = []
        for part in message.content:
            match part:
                case Text() | Refused():
                    said.append(part)
                    continue
                case ToolCall():
                    self._say(said, message.phase)
                    self._put(self._call(part))
                case Reasoning():
                    self._say(said, message.phase)
                    self._think(part)
                case _:
                    raise Untranslatable(
                        self._encoding.client.message_content, "An assistant's message can have text only."
                    )
            said = []
        self._say(said, message.phase)

    def _put(self, item: JsonObject) -> None:
        self._items += self._reasoning
        self._reasoning.clear()
        self._items.append(item)

    def _say(self, said: Iterable[Text | Refused], phase: str) -> None:
        """A message of the assistant. Its texts are one, as Anthropic divides a text at its citations."""
        parts: list[JsonObject] = []
        for each in said:
            if isinstance(each, Refused) and self._encoding.facts.openai:
                if each.text:
                    parts.append({"type": "refusal", "refusal": each.text})
                continue
            text = self._answer_text(each) if isinstance(each, Text) else each.text
            if parts and "text" in parts[-1]:
                parts[-1]["text"] += text
            elif text:
                parts.append({"type": "output_text", "text": text})
        if not parts:
            return
        item = self._message("assistant", parts)
        if phase and self._encoding.facts.openai:
            item["phase"] = phase
        elif phase:
            self._encoding.losses.drop(self._encoding.client.phase)
        self._put(item)

    def _answer_text(self, part: Text) -> str:
        names = self._encoding.client.content
        if part.citations:
            self._encoding.losses.drop(names.citations)
        if part.cache is not None:  # only what the model is given can be marked
            self._encoding.losses.drop(names.cache)
        return part.text

    def _think(self, reasoning: Reasoning) -> None:
        client, losses, blob = self._encoding.client, self._encoding.losses, reasoning.blob
        if blob is not None and blob.kind == "encrypted" and blob.issuer == self._encoding.issuer != "":
            self._reasoning.append(item_of(reasoning, blob))
            return
        if blob is not None:
            losses.drop(client.blob if blob.kind == "signature" else client.redacted)
        if reasoning.text:  # without its encrypted form it is refused
            losses.drop(client.reasoning)

    def _drop_reasoning(self) -> None:
        """Leave out reasoning that led to nothing."""
        if self._reasoning:
            self._encoding.losses.drop(self._encoding.client.redacted)
            self._reasoning.clear()

    def _call(self, call: ToolCall) -> JsonObject:
        client, losses = self._encoding.client, self._encoding.losses
        if call.cache is not None:
            losses.drop(client.cache_call)
        if call.blob is not None:
            losses.drop(client.call_signature)
        item: JsonObject = {
            "type": "function_call",
            "call_id": self._ids.of_call(call.id),
            "name": self._encoding.names.name(call.name, call.namespace),
        }
        if call.kind == "function":
            return item | {"arguments": call.arguments or "{}"}
        if self._encoding.facts.openai:
            return item | {"type": "custom_tool_call", "input": call.arguments}
        return item | {"arguments": as_arguments(call.arguments)}

    def _result(self, result: ToolResult) -> JsonObject:
        parts = list(self._results.parts(result.content)) or [{"type": "input_text", "text": _NO_OUTPUT}]
        if result.is_error:
            if "text" in parts[0]:
                parts[0]["text"] = _FAILED + parts[0]["text"]
            else:
                parts.insert(0, {"type": "input_text", "text": _FAILED.strip()})
        cache_breakpoints.mark(parts[-1], result.cache, self._encoding, self._encoding.client.cache_result)
        text = joined(parts)
        native = result.kind == "custom" and self._encoding.facts.openai
        return {
            "type": "custom_tool_call_output" if native else "function_call_output",
            "call_id": self._ids.of_result(result.call_id),
            "output": parts if text is None else text,
        }
