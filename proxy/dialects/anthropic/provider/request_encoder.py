"""A conversation as a request of the Messages API.

Source: https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from typing import Any

from proxy.dialects.anthropic.provider import cache_marks
from proxy.dialects.anthropic.provider.block_encoder import compact
from proxy.dialects.anthropic.provider.format_encoder import FormatEncoder
from proxy.dialects.anthropic.provider.sampling_encoder import encode_sampling
from proxy.dialects.anthropic.provider.settings_encoder import encode_settings, output_limit
from proxy.dialects.anthropic.provider.thinking_encoder import ThinkingEncoder
from proxy.dialects.anthropic.provider.tools_encoder import ToolsEncoder, placeholders
from proxy.dialects.anthropic.provider.turns_encoder import TurnsEncoder
from proxy.dialects.translation.base import EncodingTarget, RequestEncoder
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable


class MessagesRequestEncoder(RequestEncoder):
    """Makes bodies for Claude, and for other models behind the same API."""

    __slots__ = ()

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        client, facts = member_names(conversation.source), target.facts
        if conversation.choices > 1:
            raise Untranslatable(client.choices, "The provider gives one answer to a request.")
        form = FormatEncoder(conversation.output_format, facts, losses, client)
        tools = ToolsEncoder(facts, losses, names, client).encode(conversation, form.schema)
        turns = TurnsEncoder(target, losses, names, client).encode(conversation)
        if not tools.definitions:
            tools = placeholders(turns.called)
        turns.system += form.instruction()
        limit = output_limit(conversation, facts, losses, client)
        thinking = ThinkingEncoder(facts, losses, client).encode(
            conversation.thinking,
            limit,
            barred=tools.forced,
            barred_budget=turns.lacks_thinking or turns.ends_with_assistant,
        )
        sampled = facts.takes_sampling(thinking.effort) and not thinking.is_on
        turns.mark_end(conversation.cache)
        cache_marks.settle([*tools.definitions, *turns.blocks], losses, client.content.cache)
        members: dict[str, Any] = {
            "model": target.model,
            "max_tokens": limit,
            "system": compact(turns.system) or None,
            "tools": tools.definitions or None,
            "tool_choice": tools.choice,
            "messages": turns.messages(),
            "thinking": thinking.member,
            "output_config": thinking.effort_member() | form.member() or None,
            **encode_sampling(conversation.sampling, losses, client, taken=sampled),
            **encode_settings(conversation, losses, client),
        }
        losses.require_content()
        return {name: value for name, value in members.items() if value is not None}
