"""Clients of Anthropic's API before a provider of OpenAI's: translated, beside the same clients with their own API."""

from __future__ import annotations

from tests.bench.dialects import CHAT, MESSAGES
from tests.bench.peers.litellm import LiteLlm
from tests.bench.peers.sluice import Sluice


class PassedMessages(Sluice):
    name = "passed"
    title = "sluice (passed)"
    traffic = MESSAGES


class TranslatedMessages(Sluice):
    name = "translated"
    title = "sluice (translated)"
    traffic = MESSAGES
    spoken = CHAT


class LiteLlmTranslated(LiteLlm):
    name = "litellm-translated"
    title = "litellm (translated)"
    traffic = MESSAGES
    path = MESSAGES.path
    rewrites = CHAT.name
