"""Requests of ``generateContent`` and ``streamGenerateContent`` in neutral terms.

Source: https://ai.google.dev/api/generate-content, and the types of the package google-genai 3.6
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.gemini.client.content_decoder import NAME
from proxy.dialects.gemini.client.contents_decoder import GeminiContentsDecoder
from proxy.dialects.gemini.client.settings_decoder import CONFIG, GeminiSettingsDecoder
from proxy.dialects.gemini.client.spelling import known_members
from proxy.dialects.gemini.client.tools_decoder import GeminiToolsDecoder
from proxy.dialects.translation import members
from proxy.dialects.translation.base import RequestDecoder
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import ClientFault, Untranslatable

# ``model`` is that of the path.
_BODY: Final = frozenset(
    {
        *("model", "contents", "systemInstruction", "tools", "toolConfig", CONFIG),
        *("labels", "serviceTier", "store", "cachedContent", "continuationToken"),
    }
)

# State at Google, and what an error says of it.
_STATE: Final = {
    "cachedContent": "The content is kept at Google. Send it with the request.",
    "continuationToken": "Only Google can go on with an answer that it began.",
}
# In OpenAI's words, which the neutral ones are.
_TIERS: Final = {"unspecified": "", "standard": "default"}


class GeminiRequestDecoder(RequestDecoder):
    """Reads the bodies. A member that no other dialect has is dropped or refused."""

    __slots__ = ()

    def decode(self, body: bytes) -> Conversation:
        decoded = members.of_body(body)
        try:
            return _conversation(decoded)
        except RecursionError:
            raise ClientFault("The request body is nested too deeply.") from None


def _conversation(body: JsonObject) -> Conversation:
    losses = Losses()
    body = known_members(body, _BODY, "", losses)
    for name, reason in _STATE.items():
        if body.get(name):
            raise Untranslatable(name, reason)
    contents = GeminiContentsDecoder(losses)
    contents.add_system(body)
    contents.add_all(body)
    tools = GeminiToolsDecoder(losses)
    tools.add_all(body)
    choice = tools.choice(body)
    config = members.mapping(body, CONFIG) or {}
    with Within(CONFIG):
        settings = GeminiSettingsDecoder(config, losses)
        settings.check_modalities()
        conversation = Conversation(
            NAME,
            contents.messages,
            tools.tools,
            choice,
            settings.output_format(),
            settings.output_tokens(),
            settings.stop(),
            settings.choices(),
            sampling=settings.sampling(),
            thinking=settings.thinking(),
            wants_usage=True,
        )
    conversation.service_tier = _service_tier(body)
    conversation.tags = members.mapping(body, "labels")
    conversation.store = members.flag(body, "store")
    conversation.dropped.extend(losses.names)
    return conversation


def _service_tier(body: JsonObject) -> str:
    tier = members.text(body, "serviceTier").lower()
    return _TIERS.get(tier, tier)
