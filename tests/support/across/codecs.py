"""The codecs of answers: of providers, and of clients."""

from __future__ import annotations

import importlib
from typing import Any, Final

from proxy.dialects.anthropic.reader import MessagesReader
from proxy.dialects.gemini.reader import GeminiReader
from proxy.dialects.openai.chat_reader import ChatReader
from proxy.dialects.openai.responses_reader import ResponsesReader
from tests.support.across.translated import Client, Provider


def _found(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(f"proxy.dialects.{module}"), name)
    except ModuleNotFoundError:
        return None


def _providers() -> dict[str, Provider]:
    found = {
        "chat": Provider(_found("openai.chat.answer_decoder", "ChatAnswerDecoder"), ChatReader),
        "messages": Provider(_found("anthropic.answer_decoder", "MessagesAnswerDecoder"), MessagesReader),
        "gemini": Provider(_found("gemini.answer_decoder", "GeminiAnswerDecoder"), GeminiReader),
        "responses": Provider(_found("openai.responses.answer_decoder", "ResponsesAnswerDecoder"), ResponsesReader),
    }
    return {name: each for name, each in found.items() if each.decoder}


def _clients() -> list[Client]:
    found = [
        Client(
            "messages",
            _found("anthropic.stream_encoder", "MessagesStreamEncoder"),
            _found("anthropic.answer_encoder", "encode_message"),
        ),
        Client(
            "chat",
            _found("openai.chat.stream_encoder", "ChatStreamEncoder"),
            _found("openai.chat.answer_encoder", "encode_completion"),
        ),
        Client(
            "responses",
            _found("openai.responses.stream_encoder", "ResponsesStreamEncoder"),
            _found("openai.responses.answer_encoder", "encode_response"),
        ),
        Client(
            "gemini",
            _found("gemini.stream_encoder", "GeminiStreamEncoder"),
            _found("gemini.answer_encoder", "encode_generation"),
        ),
    ]
    return [each for each in found if each.encoder]


PROVIDERS: Final = _providers()
CLIENTS: Final = _clients()
