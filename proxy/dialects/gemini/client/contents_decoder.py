"""``contents`` and ``systemInstruction`` of requests: the turns of a conversation.

Google takes one object in place of a list of one. Its Python SDK sends each chunk of a streamed answer back as a
content of its own, so contents of the model that follow each other are one message.
Source: https://ai.google.dev/api/caching#Content
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from proxy.dialects.gemini.client.answer_turn import AnswerTurn
from proxy.dialects.gemini.client.calls_decoder import GeminiCallsDecoder
from proxy.dialects.gemini.client.content_decoder import GeminiContentDecoder
from proxy.dialects.gemini.client.spelling import known_members, spelled
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import ConversationMessage, Part, Role, Text, ToolResult
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

_T = TypeVar("_T")

_PATH: Final = "contents[].parts[]"
_CONTENT: Final = frozenset(("role", "parts"))
_USERS: Final = ("", "user", "function", "tool")  # results once had the role ``function``

# What tools at Google did in earlier turns. The text of these turns says what the model made of it.
_HOSTED: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
# What a part is: it has one of these members.
_KINDS: Final = ("text", "inlineData", "fileData", "functionCall", "functionResponse", *_HOSTED)
_OF_MODEL: Final = ("thought", "thoughtSignature")
_PART: Final = frozenset((*_KINDS, *_OF_MODEL))


class GeminiContentsDecoder:
    """Decodes the turns of one request, in their order."""

    __slots__ = ("_answer", "_calls", "_content", "_losses", "messages")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._content = GeminiContentDecoder(losses, _PATH)
        self._calls = GeminiCallsDecoder(losses)
        self._answer: AnswerTurn | None = None  # the model's turn, while it goes on
        self.messages: list[ConversationMessage] = []

    def add_system(self, body: JsonObject) -> None:
        """The member ``systemInstruction``. Its role has no meaning."""
        instruction = members.mapping(body, "systemInstruction")
        if instruction is None:
            return
        with Within("systemInstruction"):
            instruction = known_members(instruction, _CONTENT, "systemInstruction.", self._losses)
            found = list(_each(instruction, "parts", self._system))
        self._append("system", [part for part in found if part.text])

    def add_all(self, body: JsonObject) -> None:
        """The member ``contents``."""
        if body.get("contents") is None:
            raise WrongMember("contents", "an array")
        for _ in _each(body, "contents", self._add):
            pass
        self._end_answer()

    def _add(self, content: JsonObject) -> None:
        content = known_members(content, _CONTENT, "contents[].", self._losses)
        role = members.text(content, "role")
        if role == "model":
            if self._answer is None:
                self._answer = AnswerTurn()
                self._calls.begin_turn()
            for _ in _each(content, "parts", self._add_to_answer):
                pass
        elif role in _USERS:
            self._end_answer()
            self._append_user([part for found in _each(content, "parts", self._user) for part in found])
        else:
            raise WrongMember("role", "'user' or 'model'")

    def _append_user(self, parts: list[Part]) -> None:
        """Results become a message of their own, which comes first, as it follows their calls."""
        self._append("tool", [part for part in parts if isinstance(part, ToolResult)])
        self._append("user", [part for part in parts if not isinstance(part, ToolResult)])

    def _append(self, role: Role, parts: list[Part]) -> None:
        if parts:
            self.messages.append(ConversationMessage(role, parts))

    def _end_answer(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            self._append("assistant", answer.end())

    def _system(self, part: JsonObject) -> Text:
        part = self._read(part, "systemInstruction.parts[]")
        for kind in _KINDS[1:]:
            if part.get(kind) is not None:
                raise Untranslatable(kind, "A system instruction can only be text.")
        return Text(members.text(part, "text"))

    def _user(self, part: JsonObject) -> list[Part]:
        part = self._read(part, _PATH)
        text, found = members.text(part, "text"), list[Part]()
        if text:
            found.append(Text(text))
        if len(part) == 1 and "text" in part:  # the usual case
            return found
        found += self._media(part)
        if part.get("functionResponse") is not None:
            found.append(self._calls.result(part))
        self._losses.drop(*(f"{_PATH}.{name}" for name in _OF_MODEL if part.get(name)))
        for kind in ("functionCall", *_HOSTED):
            if part.get(kind) is not None:
                raise Untranslatable(kind, "Only contents of the role 'model' can have it.")
        return found

    def _add_to_answer(self, part: JsonObject) -> None:
        """A part of the model's turn. Its signature may hold the reasoning before it."""
        answer = self._answer
        assert answer is not None
        part = self._read(part, _PATH)
        text, signature = members.text(part, "text"), members.text(part, "thoughtSignature")
        if members.flag(part, "thought"):
            answer.add_thought(text, signature)
            return
        has_call = part.get("functionCall") is not None
        blob = answer.add_signature(signature, of_call=has_call) if signature else None
        if text:
            answer.add_text(text)
        if len(part) == 1 and "text" in part:  # the usual case
            return
        for medium in self._media(part):
            answer.add(medium)
        if has_call:
            answer.add(self._calls.call(part, blob))
        if part.get("functionResponse") is not None:
            raise Untranslatable("functionResponse", "Only contents of the role 'user' can have it.")
        self._losses.drop(*(f"contents[].parts[{kind}]" for kind in _HOSTED if part.get(kind) is not None))

    def _media(self, part: JsonObject) -> Iterator[Part]:
        if part.get("inlineData") is not None:
            yield self._content.inline(part)
        if part.get("fileData") is not None:
            yield self._content.file(part)

    def _read(self, part: JsonObject, path: str) -> JsonObject:
        """The known members of a part. Raises Untranslatable for a part that is of another kind."""
        if _PART.issuperset(part):
            return part
        found = spelled(part, _PART)
        unknown = members.unknown(found, _PART)
        if unknown and all(found.get(kind) is None for kind in _KINDS):
            raise Untranslatable(unknown[0], "Parts of this kind have no counterpart there.")
        self._losses.drop(*(f"{path}.{name}" for name in unknown))
        return found


def _each(holder: JsonObject, name: str, read: Callable[[JsonObject], _T]) -> Iterator[_T]:
    """What ``read`` makes of each object of a list, or of the object in place of it."""
    if not isinstance(holder.get(name), dict):
        yield from members.each(holder, name, read)
        return
    with Within(name):
        found = read(holder[name])
    yield found
