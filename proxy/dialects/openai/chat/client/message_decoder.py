"""Chat messages, decoded.

Source: https://platform.openai.com/docs/api-reference/chat/create (messages). Members of other servers: see
``reasoning_decoder.py``, and ``extra_content`` of Google, https://ai.google.dev/gemini-api/docs/openai
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from proxy.dialects.openai.chat.client.calls_decoder import ChatCallsDecoder
from proxy.dialects.openai.chat.client.content_decoder import ChatContentDecoder
from proxy.dialects.openai.chat.client.reasoning_decoder import REASONING, ReasoningOfMessage
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import (
    Citation,
    ConversationMessage,
    Document,
    Image,
    Part,
    Reasoning,
    Refused,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

_MESSAGE: Final = "messages[]."
_MARKS: Final = frozenset({"prompt_cache_breakpoint", "cache_control"})
_INPUT: Final = _MARKS | {"role", "content", "name"}
_RESULT: Final = _INPUT | {"tool_call_id"}
_ASSISTANT: Final = _INPUT | REASONING | {"tool_calls", "function_call", "refusal", "audio", "annotations"}
_URL_CITATION: Final = frozenset({"url", "title", "content", "start_index", "end_index", "file_id"})


class ChatMessageDecoder:
    """Decodes the messages of one request, in their order. What is lost is added to ``dropped``."""

    __slots__ = ("_calls", "_content", "_dropped")

    def __init__(self, content: ChatContentDecoder, dropped: list[str]) -> None:
        self._content = content
        self._dropped = dropped
        self._calls = ChatCallsDecoder(content, dropped)

    def decode(self, request: JsonObject) -> list[ConversationMessage]:
        """Raises WrongMember and Untranslatable with the whole path of the member."""
        if request.get("messages") is None:
            raise WrongMember("messages", "an array")
        return members.each(request, "messages", self._message)

    def _message(self, message: JsonObject) -> ConversationMessage:
        decode = _ROLES.get(members.text(message, "role"))
        if decode is None:
            raise WrongMember("role", f"one of {', '.join(_ROLES)}")
        return decode(self, message)

    def _system(self, message: JsonObject) -> ConversationMessage:
        return self._given("system", message)

    def _user(self, message: JsonObject) -> ConversationMessage:
        return self._given("user", message)

    def _given(self, role: Role, message: JsonObject) -> ConversationMessage:
        self._lose(message, _INPUT)
        content: list[Part] = [*self._content.input(message)]
        self._mark(message, content)
        return ConversationMessage(role, content, members.text(message, "name"))

    def _assistant(self, message: JsonObject) -> ConversationMessage:
        self._lose(message, _ASSISTANT)
        if message.get("audio") is not None:
            raise Untranslatable("audio", "Only the provider that made the audio can find it by its id.")
        calls = self._calls.of_message(message)
        text = self._content.answer(message)
        self._cite(message, text)
        content: list[Part] = [*self._reasoning(message, calls), *text]
        refusal = members.text(message, "refusal")
        if refusal:
            content.append(Refused(refusal))
        content += calls
        self._mark(message, content)
        return ConversationMessage("assistant", content, members.text(message, "name"))

    def _reasoning(self, message: JsonObject, calls: list[ToolCall]) -> list[Reasoning]:
        """The reasoning before the text. Signatures of calls that stand there go to the calls."""
        if REASONING.isdisjoint(message):
            return []
        reasoning = ReasoningOfMessage(message, {call.id for call in calls}, self._dropped)
        for call in calls:
            call.blob = call.blob or reasoning.signatures.get(call.id)
        return reasoning.found

    def _tool(self, message: JsonObject) -> ConversationMessage:
        self._lose(message, _RESULT)
        call = self._calls.find(members.required_text(message, "tool_call_id"))
        return self._result(message, call)

    def _function(self, message: JsonObject) -> ConversationMessage:
        self._lose(message, _INPUT)
        return self._result(message, self._calls.answered(members.required_text(message, "name")))

    def _result(self, message: JsonObject, call: ToolCall) -> ConversationMessage:
        result = ToolResult(call.id, self._content.input(message), kind=call.kind)
        self._mark(message, [result])
        name = members.text(message, "name")
        # The name of the called tool, which many clients repeat, is no loss.
        return ConversationMessage("tool", [result], name if name != call.name else "")

    def _mark(self, message: JsonObject, content: Sequence[Part]) -> None:
        """A mark of a message stands behind the last of its parts that can have one."""
        mark = self._content.mark(message, _MESSAGE)
        if mark is None:
            return
        for part in reversed(content):
            if isinstance(part, Text | Image | Document | ToolCall | ToolResult):
                part.cache = part.cache or mark
                return
        self._dropped += (_MESSAGE + name for name in sorted(_MARKS & message.keys()))

    def _cite(self, message: JsonObject, content: Sequence[Part]) -> None:
        """The sources of a message that is sent back belong to its text, if there is one text."""
        if not message.get("annotations"):
            return
        citations = [each for each in members.each(message, "annotations", self._citation) if each is not None]
        texts = [part for part in content if isinstance(part, Text)]
        if len(texts) == 1:
            texts[0].citations = tuple(citations)
        elif citations:
            self._dropped.append(_MESSAGE + "annotations")

    def _citation(self, annotation: JsonObject) -> Citation | None:
        found = members.mapping(annotation, "url_citation")
        if found is None:
            self._dropped.append(f"{_MESSAGE}annotations[{members.text(annotation, 'type')}]")
            return None
        self._lose(found, _URL_CITATION, _MESSAGE + "annotations[].url_citation.")
        with Within("url_citation"):
            return Citation(
                members.text(found, "url"),
                members.text(found, "title"),
                members.text(found, "content"),
                members.text(found, "file_id"),
                members.integer(found, "start_index"),
                members.integer(found, "end_index"),
            )

    def _lose(self, holder: JsonObject, known: frozenset[str], path: str = _MESSAGE) -> None:
        self._dropped += members.unknown(holder, known, path)


_ROLES: Final[dict[str, Callable[[ChatMessageDecoder, JsonObject], ConversationMessage]]] = {
    "system": ChatMessageDecoder._system,
    "developer": ChatMessageDecoder._system,
    "user": ChatMessageDecoder._user,
    "assistant": ChatMessageDecoder._assistant,
    "tool": ChatMessageDecoder._tool,
    "function": ChatMessageDecoder._function,
}
