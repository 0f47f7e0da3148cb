"""The messages of a conversation, as the Gemini API has them: ``systemInstruction`` and turns of user and model.

The results of all calls of a turn must be in the next turn of the user, which its other content follows.
Source: https://ai.google.dev/api/caching#Content, https://ai.google.dev/gemini-api/docs/function-calling
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.gemini.provider.model_encoder import ModelEncoder, add_missing_signatures
from proxy.dialects.gemini.provider.part_encoder import GeminiPartEncoder
from proxy.dialects.gemini.provider.result_encoder import FunctionResponseEncoder
from proxy.dialects.translation.call_ids import CallIds
from proxy.dialects.translation.conversation import ConversationMessage, Part, Text, ToolResult
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

_BEGINNING: Final = "."  # of a conversation that the model begins
_NO_TOOL: Final = "tool"  # name for the result of a call that is not in the conversation


class GeminiTurn(Struct):
    """Messages of one role that follow each other. ``responses``: results of calls, before the other ``parts``."""

    role: Literal["user", "model"]
    responses: list[JsonObject] = []
    parts: list[JsonObject] = []

    def content(self, calls: Sequence[str]) -> JsonObject:
        """The turn; ``calls``: ids of the calls in the turn before it, in whose order the results are."""
        order = {call_id: at for at, call_id in enumerate(calls)}
        responses = sorted(self.responses, key=lambda each: order.get(each["functionResponse"]["id"], len(order)))
        return {"role": self.role, "parts": [*responses, *self.parts]}


class ContentsEncoder:
    """Encodes the messages of one request."""

    __slots__ = ("_content", "_encoding", "_ids", "_instructions", "_model", "_results", "_system", "_turns")

    def __init__(self, encoding: GeminiEncoding) -> None:
        self._encoding = encoding
        self._content = GeminiPartEncoder(encoding, encoding.client.content)
        self._instructions = GeminiPartEncoder(encoding, encoding.client.system)  # before all other messages
        self._ids = CallIds()
        self._model = ModelEncoder(encoding, self._ids)
        self._results = FunctionResponseEncoder(encoding)
        self._system: list[JsonObject] = []
        self._turns: list[GeminiTurn] = []

    def encode(self, messages: Sequence[ConversationMessage]) -> JsonObject:
        """``contents`` and ``systemInstruction``. Raises Untranslatable for what the API lacks."""
        client, losses = self._encoding.client, self._encoding.losses
        for message in messages:
            self._add(message)
        contents = self._contents()
        if not contents and self._system:
            contents, self._system = [{"role": "user", "parts": self._system}], []
            losses.drop(client.role)
        if not contents:
            raise Untranslatable(client.messages, "It has no text.")
        if contents[0]["role"] == "model":
            contents.insert(0, {"role": "user", "parts": [{"text": _BEGINNING}]})
        if contents[-1]["role"] == "model" and not self._encoding.facts.prefill:
            raise Untranslatable(
                client.messages,
                "The model does not continue an assistant message: the last one must be of the user or a tool.",
            )
        if self._encoding.facts.thought_signatures:
            add_missing_signatures(contents)
        found: JsonObject = {"contents": contents}
        if self._system:
            found["systemInstruction"] = {"parts": self._system}
        return found

    def _contents(self) -> list[JsonObject]:
        """The turns that have content. Those of one role become one."""
        merged: list[GeminiTurn] = []
        for turn in self._turns:
            if not (turn.responses or turn.parts):
                continue
            if merged and merged[-1].role == turn.role:
                merged[-1].responses += turn.responses
                merged[-1].parts += turn.parts
            else:
                merged.append(turn)
        found: list[JsonObject] = []
        calls: list[str] = []
        for turn in merged:
            found.append(turn.content(calls))
            calls = [part["functionCall"]["id"] for part in turn.parts if "functionCall" in part]
        return found

    def _add(self, message: ConversationMessage) -> None:
        if message.name:
            self._encoding.losses.drop(self._encoding.client.name)
        if message.phase:
            self._encoding.losses.drop(self._encoding.client.phase)
        match message.role:
            case "system":
                self._add_system(message.content)
            case "user":
                self._turn("user").parts += self._content.parts(message.content)
            case "tool":
                for part in message.content:
                    if isinstance(part, ToolResult):
                        self._add_result(part)
            case "assistant":
                self._turn("model").parts += self._model.parts(message.content)

    def _turn(self, role: Literal["user", "model"]) -> GeminiTurn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(GeminiTurn(role))
        return self._turns[-1]

    def _add_result(self, result: ToolResult) -> None:
        call_id = self._ids.of_result(result.call_id)
        encoded = self._results.result(result, call_id, self._model.names.get(call_id, _NO_TOOL))
        turn = self._turn("user")
        turn.responses.append(encoded.part)
        turn.parts += encoded.moved

    def _add_system(self, content: Sequence[Part]) -> None:
        """System text after other messages becomes text of the user."""
        is_first = not self._turns
        encoder = self._instructions if is_first else self._content
        parts = [each for part in content for each in encoder.text(self._as_text(part))]
        if is_first:
            self._system += parts
        elif parts:
            self._encoding.losses.drop(self._encoding.client.role)
            self._turn("user").parts += [{"text": f"<system>\n{part['text']}\n</system>"} for part in parts]

    def _as_text(self, part: Part) -> Text:
        if not isinstance(part, Text):
            raise Untranslatable(self._encoding.client.system.place, "System messages can only be text.")
        return part
