"""Messages of the assistant, as chat has them: text, refusals, tool calls and reasoning.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import re
from typing import Final

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.content_encoder import ChatContentEncoder, compact, only_text
from proxy.dialects.openai.chat.provider.returned_reasoning import ReturnedReasoning
from proxy.dialects.translation.conversation import Blob, Part, Reasoning, Refused, Text, ToolCall
from proxy.dialects.translation.custom_tools import as_arguments
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.tool_ids import is_safe, safe_id
from proxy.errors import Untranslatable

# Google's API takes this value in place of the signature of a call that it did not make itself:
# https://ai.google.dev/gemini-api/docs/thought-signatures
_NO_SIGNATURE: Final = "skip_thought_signature_validator"

# Kimi reads its own ids, so they must come back unchanged: https://github.com/MoonshotAI/kimi-code/pull/2503
_is_kimis: Final = re.compile(r"functions\.[a-zA-Z0-9_-]{1,48}:\d{1,4}").fullmatch


def call_id(original: str) -> str:
    """The id of a call as the provider takes it."""
    return original if is_safe(original) or _is_kimis(original) else safe_id(original)


class AssistantEncoder:
    """Encodes the assistant's messages of one request."""

    __slots__ = ("_content", "_encoding")

    def __init__(self, encoding: ChatEncoding) -> None:
        self._encoding = encoding
        self._content = ChatContentEncoder(encoding, encoding.client.content)

    def message(self, parts: list[Part], name: str = "") -> JsonObject | None:
        """The message; ``None``: it would be empty. Raises Untranslatable."""
        calls: list[JsonObject] = []
        others: list[Part] = []
        for part in parts:
            if isinstance(part, ToolCall):
                calls.append(self._call(part))
            else:
                others.append(part)
        text = only_text(others)  # the usual case
        reasoning = ReturnedReasoning(self._encoding, () if text else others)
        texts = [] if text else self._texts(parts)
        if not (text or texts or calls):
            reasoning.drop()
            return None
        message: JsonObject = {"role": "assistant"}
        if name:
            message["name"] = name
        message["content"] = [*reasoning.chunks, *texts] if reasoning.chunks else text or compact(texts) or None
        if calls:
            message["tool_calls"] = calls
            if self._encoding.facts.thought_signatures and not any("extra_content" in each for each in calls):
                calls[0]["extra_content"] = {"google": {"thought_signature": _NO_SIGNATURE}}
        reasoning.add_to(message)
        return message

    def _texts(self, parts: list[Part]) -> list[JsonObject]:
        """Texts and refusals. Texts that follow each other are one: Anthropic divides a text at its citations."""
        found: list[JsonObject] = []
        before: Part | None = None
        for part in parts:
            match part:
                case Text():
                    pieces = self._content.text(part)
                    if isinstance(before, Text) and pieces and found and found[-1].keys() == {"type", "text"}:
                        pieces[0]["text"] = found.pop()["text"] + pieces[0]["text"]
                    found += pieces
                case Refused(text) if text:
                    found.append(self._refusal(text))
                case Refused() | Reasoning() | ToolCall():
                    pass
                case _:
                    raise Untranslatable(
                        self._encoding.client.message_content, "An assistant's message can have text only."
                    )
            before = part
        return found

    def _refusal(self, text: str) -> JsonObject:
        """OpenAI alone tells a refusal from a text."""
        return {"type": "refusal", "refusal": text} if self._encoding.facts.openai else {"type": "text", "text": text}

    def _call(self, call: ToolCall) -> JsonObject:
        if call.cache is not None:
            self._encoding.losses.drop(self._encoding.client.cache_call)
        arguments = as_arguments(call.arguments) if call.kind == "custom" else call.arguments or "{}"
        function = {"name": self._encoding.names.name(call.name, call.namespace), "arguments": arguments}
        encoded: JsonObject = {"id": call_id(call.id), "type": "function", "function": function}
        if call.blob is not None and (signature := self._signature(call.blob)):
            encoded["extra_content"] = {"google": {"thought_signature": signature}}
        return encoded

    def _signature(self, blob: Blob) -> str:
        """The signature of a call that the provider made; ``""``: another one made it."""
        if blob.issuer == self._encoding.issuer != "":
            return blob.data
        self._encoding.losses.drop(self._encoding.client.call_signature)
        return ""
