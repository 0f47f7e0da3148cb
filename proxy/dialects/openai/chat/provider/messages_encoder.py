"""The messages of a conversation, as chat has them.

Messages of the user that follow each other become one, as many chat templates refuse two of them in a row:
https://github.com/vllm-project/vllm/issues/6862
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.assistant_encoder import AssistantEncoder
from proxy.dialects.openai.chat.provider.content_encoder import ChatContentEncoder, compact
from proxy.dialects.openai.chat.provider.message_order import in_order
from proxy.dialects.openai.chat.provider.results_encoder import ResultsEncoder
from proxy.dialects.translation.conversation import Conversation, ConversationMessage, Part, Text, ToolResult
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable


class ChatMessagesEncoder:
    """Encodes the messages of one request."""

    __slots__ = ("_assistant", "_content", "_encoding", "_first", "_growing", "_messages", "_results")

    def __init__(self, encoding: ChatEncoding) -> None:
        self._encoding = encoding
        self._content = ChatContentEncoder(encoding, encoding.client.content)
        self._first = ChatContentEncoder(encoding, encoding.client.system)  # before all other messages
        self._assistant = AssistantEncoder(encoding)
        self._results = ResultsEncoder(encoding)
        self._messages: list[JsonObject] = []
        self._growing: list[JsonObject] = []  # those whose content is a list of parts, until it is compacted

    def messages(self, conversation: Conversation) -> list[JsonObject]:
        """Raises Untranslatable for content that chat lacks."""
        for message in conversation.messages if conversation.in_order else in_order(conversation.messages):
            self._add(message)
        for encoded in self._growing:
            encoded["content"] = compact(encoded["content"])
        return self._messages

    def _add(self, message: ConversationMessage) -> None:
        if message.phase:
            self._encoding.losses.drop(self._encoding.client.phase)
        match message.role:  # the most frequent first
            case "tool":
                self._add_results(message.content)
            case "assistant":
                encoded = self._assistant.message(message.content, message.name)
                if encoded is not None:
                    self._messages.append(encoded)
            case "user":
                self._add_content("user", self._content.parts(message.content), message.name)
            case "system":
                self._add_system(message)

    def _add_results(self, results: Sequence[Part]) -> None:
        """The results, and then what of them is no text."""
        moved: list[JsonObject] = []
        for result in results:
            if isinstance(result, ToolResult):
                encoded = self._results.result(result)
                self._messages.append(encoded.message)
                moved += encoded.moved
        if moved:
            self._add_content("user", moved)

    def _add_system(self, message: ConversationMessage) -> None:
        is_first = all(each["role"] == "system" for each in self._messages)
        encoder = self._first if is_first else self._content
        parts = [each for part in message.content for each in encoder.text(self._as_text(part))]
        if self._encoding.facts.late_system:
            self._add_content("system", parts, message.name, merged=False)
        elif is_first:
            self._add_content("system", parts)
        elif parts:  # the model's template refuses it
            self._encoding.losses.drop(self._encoding.client.role)
            for part in parts:
                part["text"] = f"<system>\n{part['text']}\n</system>"
            self._add_content("user", parts)

    def _as_text(self, part: Part) -> Text:
        if not isinstance(part, Text):
            raise Untranslatable(self._encoding.client.message_content, "A system message can have text only.")
        return part

    def _add_content(self, role: str, content: Iterable[JsonObject], name: str = "", *, merged: bool = True) -> None:
        """A message, or more of the last one if it has the same role and author."""
        parts = list(content)
        if not parts:
            return
        last = self._messages[-1] if self._messages else {}
        if merged and last.get("role") == role and last.get("name", "") == name:
            last["content"] += parts
            return
        message: JsonObject = {"role": role, **({"name": name} if name else {}), "content": parts}
        self._messages.append(message)
        self._growing.append(message)
