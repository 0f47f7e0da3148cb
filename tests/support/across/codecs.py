"""The codecs of answers: of providers, and of clients."""

from __future__ import annotations

from typing import Final

from proxy.dialects.anthropic.client.answer_encoder import encode_message
from proxy.dialects.anthropic.client.stream_encoder import MessagesStreamEncoder
from proxy.dialects.anthropic.provider.answer_decoder import MessagesAnswerDecoder
from proxy.dialects.anthropic.reader import MessagesReader
from proxy.dialects.gemini.client.answer_encoder import encode_generation
from proxy.dialects.gemini.client.stream_encoder import GeminiStreamEncoder
from proxy.dialects.gemini.provider.answer_decoder import GeminiAnswerDecoder
from proxy.dialects.gemini.reader import GeminiReader
from proxy.dialects.openai.chat.client.answer_encoder import encode_completion
from proxy.dialects.openai.chat.client.stream_encoder import ChatStreamEncoder
from proxy.dialects.openai.chat.provider.answer_decoder import ChatAnswerDecoder
from proxy.dialects.openai.chat_reader import ChatReader
from proxy.dialects.openai.responses.client.answer_encoder import encode_response
from proxy.dialects.openai.responses.client.stream_encoder import ResponsesStreamEncoder
from proxy.dialects.openai.responses.provider.answer_decoder import ResponsesAnswerDecoder
from proxy.dialects.openai.responses_reader import ResponsesReader
from tests.support.across.translated import Client, Provider

PROVIDERS: Final = {
    "chat": Provider(ChatAnswerDecoder, ChatReader),
    "messages": Provider(MessagesAnswerDecoder, MessagesReader),
    "gemini": Provider(GeminiAnswerDecoder, GeminiReader),
    "responses": Provider(ResponsesAnswerDecoder, ResponsesReader),
}
CLIENTS: Final = [
    Client("messages", MessagesStreamEncoder, encode_message),
    Client("chat", ChatStreamEncoder, encode_completion),
    Client("responses", ResponsesStreamEncoder, encode_response),
    Client("gemini", GeminiStreamEncoder, encode_generation),
]
