"""Conversations as requests of OpenAI's Responses API, without any state there.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import Any

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.json_word import with_json_word
from proxy.dialects.openai.responses.provider.input_encoder import ResponsesInputEncoder
from proxy.dialects.openai.responses.provider.settings_encoder import encode_settings
from proxy.dialects.openai.responses.provider.tools_encoder import encode_tools
from proxy.dialects.translation.base import EncodingTarget, RequestEncoder
from proxy.dialects.translation.client_names import MemberNames, member_names
from proxy.dialects.translation.conversation import Conversation, Refused, Text
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable


class ResponsesRequestEncoder(RequestEncoder):
    """Makes bodies of ``POST /v1/responses``."""

    __slots__ = ()

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        client = member_names(conversation.source)
        encoding = ChatEncoding(target.facts, target.issuer, losses, names, client)
        _check(conversation, encoding.facts.prefill, client)
        tools = encode_tools(conversation, encoding)
        # OpenAI looks for the word JSON in the input alone before it makes any JSON.
        wants_any_json = conversation.output_format is not None and conversation.output_format.schema is None
        messages = with_json_word(conversation).messages
        given = ResponsesInputEncoder(encoding).encode(messages, instructed=not wants_any_json)
        if not given["input"]:
            raise Untranslatable(client.messages, "It has no text.")
        body = {"model": target.model, **given, **tools, **encode_settings(conversation, encoding)}
        if conversation.stream:
            body["stream"] = True
        losses.require_content()
        return body


def _check(conversation: Conversation, prefill: bool, client: MemberNames) -> None:
    """Raise Untranslatable for what the API lacks."""
    if conversation.choices > 1:
        raise Untranslatable(client.choices, "The Responses API makes one answer only.")
    last = conversation.messages[-1] if conversation.messages else None
    if last is None or last.role != "assistant" or prefill:
        return
    if any(isinstance(part, Text | Refused) and part.text for part in last.content):
        raise Untranslatable(client.messages, "The model does not continue a message of the assistant.")
