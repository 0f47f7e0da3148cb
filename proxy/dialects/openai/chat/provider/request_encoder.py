"""Conversations as requests of Chat Completions, for OpenAI and for servers that are compatible with it.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.openai.chat import cache_breakpoints
from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.messages_encoder import ChatMessagesEncoder
from proxy.dialects.openai.chat.provider.settings_encoder import encode_settings, output_format
from proxy.dialects.openai.chat.provider.thinking_encoder import encode_thinking
from proxy.dialects.openai.chat.provider.tools_encoder import encode_tools
from proxy.dialects.openai.json_word import with_json_word
from proxy.dialects.translation.base import EncodingTarget, RequestEncoder
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable

# Of ``include``: what an answer has anyway, as reasoning is packed for the client, or by ``logprobs``.
_INCLUDED: Final = frozenset({"reasoning.encrypted_content", "message.output_text.logprobs"})


class ChatRequestEncoder(RequestEncoder):
    """Makes bodies of ``POST /v1/chat/completions``."""

    __slots__ = ()

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        client = member_names(conversation.source)
        encoding = ChatEncoding(target.facts, target.issuer, losses, names, client)
        tools = encode_tools(conversation, encoding)
        messages = ChatMessagesEncoder(encoding).messages(with_json_word(conversation))
        if not messages:
            raise Untranslatable(client.messages, "It has no text.")
        body: dict[str, Any] = {"model": target.model, "messages": messages, **tools}
        if conversation.output_format is not None:
            body["response_format"] = output_format(conversation.output_format, encoding)
        thinking = encode_thinking(conversation.thinking, encoding, with_tools="tools" in tools)
        body |= thinking
        body |= encode_settings(conversation, encoding, thinking.get("reasoning_effort", ""))
        if conversation.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        cache_breakpoints.mark_end(body, conversation.cache, encoding)
        losses.drop(*(f"include[{each}]" for each in sorted(conversation.include - _INCLUDED)))
        losses.require_content()
        return body
