"""Calls of functions and their results in the turns of a request, decoded and matched.

A call may have no id. Then a result belongs to it by its name, and by its place among the results of that name.
Source: https://ai.google.dev/gemini-api/docs/function-calling
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.dialects.gemini.client.content_decoder import GeminiContentDecoder, GeminiContentPart
from proxy.dialects.gemini.client.spelling import known_members
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import Blob, Text, ToolCall, ToolResult
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable
from proxy.wire import document

_PATH: Final = "contents[].parts[]."
_CALL: Final = frozenset(("id", "name", "args"))
_RESULT: Final = frozenset(("id", "name", "response", "parts"))
_MEDIA: Final = frozenset(("inlineData", "fileData"))
# Members of a response: Google documents ``output`` and ``error``, and its Python SDK sends ``result``.
_OUTPUTS: Final = frozenset(("output", "result", "error"))


class _WaitingCall(Struct):
    """A call of the model's last turn that has no result yet. ``has_id``: the client gave the id."""

    id: str
    name: str
    has_id: bool


class GeminiCallsDecoder:
    """Decodes the calls and results of one request, in their order.

    An id that is made is the same in each request of a conversation, so that caches of prompts hit.
    """

    __slots__ = ("_losses", "_made", "_media", "_waiting")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._media = GeminiContentDecoder(losses, _PATH + "functionResponse.parts[]")
        self._made = 0  # ids
        self._waiting: list[_WaitingCall] = []

    def begin_turn(self) -> None:
        """The model's turn begins: what follows are no results of earlier calls."""
        self._waiting.clear()

    def call(self, part: JsonObject, blob: Blob | None) -> ToolCall:
        """The member ``functionCall``. ``blob``: the signature of the call."""
        call = members.required_mapping(part, "functionCall")
        call = known_members(call, _CALL, _PATH + "functionCall.", self._losses)
        with Within("functionCall"):
            if call.get("args") is None and (call.get("partialArgs") or call.get("partial_args")):
                raise Untranslatable("partialArgs", "Send the whole arguments as 'args'.")
            name, own_id = members.required_text(call, "name"), members.text(call, "id")
            arguments = document.encode(members.mapping(call, "args") or {}).decode()
        found = ToolCall(own_id or self._make_id(name), name, arguments, blob=blob)
        self._waiting.append(_WaitingCall(found.id, name, bool(own_id)))
        return found

    def result(self, part: JsonObject) -> ToolResult:
        """The member ``functionResponse``."""
        result = members.required_mapping(part, "functionResponse")
        result = known_members(result, _RESULT, _PATH + "functionResponse.", self._losses)
        with Within("functionResponse"):
            response = members.mapping(result, "response") or {}
            content: list[GeminiContentPart] = [*_texts(response), *members.each(result, "parts", self._medium)]
            call_id = self._match(members.text(result, "id"), members.text(result, "name"))
        is_error = bool(response.get("error")) and response.keys() <= _OUTPUTS
        return ToolResult(call_id, content, is_error)

    def _medium(self, part: JsonObject) -> GeminiContentPart:
        part = known_members(part, _MEDIA, _PATH + "functionResponse.parts[].", self._losses)
        if part.get("inlineData") is not None:
            return self._media.inline(part)
        if part.get("fileData") is not None:
            return self._media.file(part)
        raise Untranslatable(next(iter(part), "inlineData"), "A part of a result must have inlineData or fileData.")

    def _match(self, own_id: str, name: str) -> str:
        """The id of the call that a result is of; another one if there is none."""
        waiting = self._waiting
        found = next((each for each in waiting if (each.id == own_id if own_id else each.name == name)), None)
        if found is None and own_id:  # the client made the id after the call
            found = next((each for each in waiting if each.name == name and not each.has_id), None)
        if found is None:
            return own_id or self._make_id(name)
        waiting.remove(found)
        return found.id

    def _make_id(self, name: str) -> str:
        self._made += 1
        return f"call_{self._made}_{name}"


def _texts(response: JsonObject) -> list[GeminiContentPart]:
    """The output as text: the only member if it is known to hold it, else the whole object."""
    said = {name: value for name, value in response.items() if value is not None}
    if not said:
        return []
    value = next(iter(said.values())) if len(said) == 1 and said.keys() <= _OUTPUTS else said
    text = value if isinstance(value, str) else document.encode(value).decode()
    return [Text(text)] if text else []
