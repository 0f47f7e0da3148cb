"""A chat request, decoded.

Source: https://platform.openai.com/docs/api-reference/chat/create. Members that no other dialect has, and unknown
ones of other servers, are listed in ``dropped``.
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.openai.chat.client.content_decoder import SOURCE, ChatContentDecoder
from proxy.dialects.openai.chat.client.message_decoder import ChatMessageDecoder
from proxy.dialects.openai.chat.client.settings_decoder import SETTINGS, ChatSettingsDecoder
from proxy.dialects.openai.chat.client.tools_decoder import ChatToolsDecoder
from proxy.dialects.translation import members
from proxy.dialects.translation.base import RequestDecoder
from proxy.dialects.translation.conversation import Conversation
from proxy.wire.criteria import FIELDS

# ``model`` and the criteria in FIELDS are the gateway's.
_KNOWN: Final = (
    FIELDS
    | SETTINGS
    | {"model", "messages", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls"}
    | {"verbosity", "service_tier", "metadata", "prompt_cache_key", "store", "stream"}
)


class ChatRequestDecoder(RequestDecoder):
    """Reads the bodies of chat requests."""

    __slots__ = ()

    def decode(self, body: bytes) -> Conversation:
        request = members.of_body(body)
        dropped = list(members.unknown(request, _KNOWN))
        settings = ChatSettingsDecoder(request, dropped)
        settings.check_modalities()
        end_mark, ttl = settings.caching()
        content = ChatContentDecoder(ttl, dropped)
        tool_decoder = ChatToolsDecoder(content, dropped)
        tools = tool_decoder.tools(request)
        conversation = Conversation(
            SOURCE,
            ChatMessageDecoder(content, dropped).decode(request),
            tools,
            tool_decoder.choice(request, tools),
            settings.output_format(),
            settings.output_tokens(),
            settings.stop(),
            settings.choices(),
            settings.sampling(),
            settings.thinking(),
            verbosity=members.text(request, "verbosity"),
            service_tier=members.text(request, "service_tier"),
            end_user=settings.end_user(),
            tags=members.mapping(request, "metadata"),
            cache_key=members.text(request, "prompt_cache_key"),
            cache=content.mark(request, "") or end_mark,
            store=members.flag(request, "store"),
            stream=bool(members.flag(request, "stream")),
            wants_usage=settings.wants_usage(),
            legacy_functions=bool(request.get("functions")),
            own_names=settings.own_names(),
        )
        conversation.dropped = list(dict.fromkeys(dropped))
        return conversation
