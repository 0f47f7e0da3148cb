"""Requests of the Messages API in neutral terms.

Source: https://docs.claude.com/en/api/messages, and the parameter types of the package anthropic 2.14
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.anthropic.client import settings_decoder
from proxy.dialects.anthropic.client.content_decoder import NAME, ContentDecoder
from proxy.dialects.anthropic.client.messages_decoder import TurnsDecoder
from proxy.dialects.anthropic.client.tools_decoder import ToolsDecoder
from proxy.dialects.translation import members
from proxy.dialects.translation.base import RequestDecoder
from proxy.dialects.translation.conversation import Conversation, ConversationMessage, Part, Text
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable, WrongMember

# Claude Code's first system block. It differs between requests, so that no other provider's cache would ever hit:
# https://github.com/anthropics/claude-code/issues/68900
BILLING_HEADER: Final = "x-anthropic-billing-header:"

_BODY: Final = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "max_tokens", "stop_sequences", "stream", "metadata"),
        *("temperature", "top_p", "top_k", "thinking", "output_config", "output_format", "cache_control"),
        *("service_tier", "speed"),
    }
)

# Members without which an answer would be wrong, and what an error says of them.
_REFUSED: Final = {
    "safeguards": "Only Anthropic has them.",  # Claude Code repeats the request without it
    "thread": "Only Anthropic keeps the state of a conversation: send all of its messages.",
    "compaction": "Only Anthropic compacts a conversation.",
}


class MessagesRequestDecoder(RequestDecoder):
    """Reads bodies of ``POST /v1/messages``. A member that no other dialect has is dropped or refused."""

    __slots__ = ()

    def decode(self, body: bytes) -> Conversation:
        return _conversation(members.of_body(body))


def _conversation(body: JsonObject) -> Conversation:
    for name, reason in _REFUSED.items():
        if body.get(name) is not None:
            raise Untranslatable(name, reason)
    if body.get("messages") is None:
        raise WrongMember("messages", "an array")
    losses = Losses()
    losses.drop(*members.unknown(body, _BODY))
    tools = ToolsDecoder(losses)
    tools.add_all(body)
    turns = TurnsDecoder(losses, tools)
    turns.add_all(body)
    thinking = settings_decoder.thinking(body, losses)
    thinking.effort = turns.effort or thinking.effort
    conversation = Conversation(
        NAME,
        [*_system(body, losses), *turns.messages],
        tools.tools,
        tools.choice(body),
        settings_decoder.output_format(body, losses),
        output_tokens=_output_tokens(body),
        stop=members.texts(body, "stop_sequences"),
        sampling=settings_decoder.sampling(body),
        thinking=thinking,
        service_tier=settings_decoder.service_tier(body, losses),
        end_user=_end_user(body, losses),
        cache=ContentDecoder(losses, "").cache_mark(body),
        stream=members.flag(body, "stream") is True,
        wants_usage=True,
    )
    conversation.dropped.extend(losses.names)
    return conversation


def _system(body: JsonObject, losses: Losses) -> list[ConversationMessage]:
    """The member ``system``, without Claude Code's billing header."""
    system = body.get("system")
    if isinstance(system, str):
        return [ConversationMessage("system", [Text(system)])] if system else []
    texts = members.each(body, "system", ContentDecoder(losses, "system[]").text)
    if texts and texts[0].text.startswith(BILLING_HEADER):
        del texts[0]
    parts: list[Part] = [text for text in texts if text.text]
    return [ConversationMessage("system", parts)] if parts else []


def _output_tokens(body: JsonObject) -> int | None:
    most = members.integer(body, "max_tokens")
    if most == 0:
        raise Untranslatable("max_tokens", "0 fills a cache without an answer, which only Anthropic does.")
    if most is not None and most < 0:
        raise WrongMember("max_tokens", "at least 1")
    return most


def _end_user(body: JsonObject, losses: Losses) -> str:
    metadata = members.mapping(body, "metadata")
    if metadata is None:
        return ""
    losses.drop(*members.unknown(metadata, frozenset(("user_id",)), "metadata."))
    with Within("metadata"):
        return members.text(metadata, "user_id")
