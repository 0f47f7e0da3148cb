"""The traffic in each dialect that the gateway passes: events with text and answers have the same size in all."""

from __future__ import annotations

from tests.bench.dialects.chat import CHAT
from tests.bench.dialects.gemini import GEMINI
from tests.bench.dialects.messages import MESSAGES
from tests.bench.dialects.responses import RESPONSES
from tests.bench.traffic import Traffic

DIALECTS = {each.name: each for each in (CHAT, MESSAGES, RESPONSES, GEMINI)}


def dialect_of(target: bytes) -> Traffic:
    """The traffic for a request target at the provider; chat for every other path."""
    return next((each for each in DIALECTS.values() if each.served in target), CHAT)


__all__ = ["CHAT", "DIALECTS", "GEMINI", "MESSAGES", "RESPONSES", "dialect_of"]
