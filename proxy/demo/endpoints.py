"""Table of the demo's JSON endpoints, by the API that they belong to.

OpenAI's and Anthropic's paths begin with ``/v1``, Google's with ``/v1beta``, ``/v1alpha`` or ``/v1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from proxy.demo.answer import DemoAnswer
from proxy.demo.anthropic.api import AnthropicApi
from proxy.demo.anthropic.call import CountCall, MessagesCall
from proxy.demo.anthropic.messages import count_tokens, messages
from proxy.demo.api import DemoApi
from proxy.demo.audio import SpeechCall, speech
from proxy.demo.chat import ChatCall, CompletionCall, chat, completion
from proxy.demo.embeddings import EmbeddingCall, embeddings
from proxy.demo.gemini import call as gemini_call
from proxy.demo.gemini.api import GeminiApi
from proxy.demo.gemini.call import GeminiCountCall, GenerateCall
from proxy.demo.gemini.embed import EmbedBatchCall, EmbedCall, embed, embed_batch
from proxy.demo.gemini.generate import gemini_count, generate, stream
from proxy.demo.images import ImageCall, images
from proxy.demo.models import DemoModel
from proxy.demo.moderations import ModerationCall, moderations
from proxy.demo.openai_api import OpenAIApi
from proxy.demo.refusal import DemoRefusal
from proxy.demo.responses import ResponsesCall, input_tokens, responses


class DemoEndpoint(Struct, frozen=True):
    """``shape`` of the request body, and what makes the answer of a model."""

    shape: Any
    build: Callable[[Any, DemoModel], DemoAnswer]


class FoundEndpoint(Struct, frozen=True):
    """An endpoint, and the model in its path, if it has one."""

    endpoint: DemoEndpoint
    model: str = ""

    def decode(self, body: bytes) -> Any:
        """The call, which has a ``model``. Raises msgspec's errors."""
        shape = self.endpoint.shape
        return gemini_call.decode(body, shape, self.model) if self.model else msgspec.json.decode(body, type=shape)


OPENAI: Final = OpenAIApi()
ANTHROPIC: Final = AnthropicApi()
GEMINI: Final = GeminiApi()

ENDPOINTS: Final[Mapping[str, DemoEndpoint]] = {
    "/v1/chat/completions": DemoEndpoint(ChatCall, chat),
    "/v1/completions": DemoEndpoint(CompletionCall, completion),
    "/v1/embeddings": DemoEndpoint(EmbeddingCall, embeddings),
    "/v1/responses": DemoEndpoint(ResponsesCall, responses),
    "/v1/responses/input_tokens": DemoEndpoint(ResponsesCall, input_tokens),
    "/v1/moderations": DemoEndpoint(ModerationCall, moderations),
    "/v1/images/generations": DemoEndpoint(ImageCall, images),
    "/v1/audio/speech": DemoEndpoint(SpeechCall, speech),
    "/v1/messages": DemoEndpoint(MessagesCall, messages),
    "/v1/messages/count_tokens": DemoEndpoint(CountCall, count_tokens),
}

# Google's methods. The path before them names the model.
METHODS: Final[Mapping[str, DemoEndpoint]] = {
    "generateContent": DemoEndpoint(GenerateCall, generate),
    "streamGenerateContent": DemoEndpoint(GenerateCall, stream),
    "countTokens": DemoEndpoint(GeminiCountCall, gemini_count),
    "embedContent": DemoEndpoint(EmbedCall, embed),
    "batchEmbedContents": DemoEndpoint(EmbedBatchCall, embed_batch),
}

_method = re.compile(r"/v1(?:beta|alpha)?/models/(.+):([A-Za-z]+)").fullmatch
_list_of_models = re.compile(r"/v1(?:beta|alpha)?/models(?:/(.+))?").fullmatch


def api_of(path: str, headers: Mapping[str, str]) -> DemoApi:
    """The API that a client speaks. Lists of models may have the same path in all of them."""
    if path.startswith(("/v1beta/", "/v1alpha/")) or "x-goog-api-key" in headers or _method(path) is not None:
        return GEMINI
    return ANTHROPIC if path.startswith("/v1/messages") or "anthropic-version" in headers else OPENAI


def find_endpoint(path: str, query: str) -> FoundEndpoint | None:
    """The endpoint of a path; ``None`` for others. Raises DemoRefusal for a stream in another form than events."""
    if (endpoint := ENDPOINTS.get(path)) is not None:
        return FoundEndpoint(endpoint)
    found = _method(path)
    if found is None or found[2] not in METHODS:
        return None
    if found[2] == "streamGenerateContent" and ("alt", "sse") not in parse_qsl(query):
        raise DemoRefusal(400, "The demo streams only events. Append ?alt=sse to the path.", param="alt")
    return FoundEndpoint(METHODS[found[2]], found[1])


def listed_model(path: str) -> str | None:
    """The name of a model whose description is requested, ``""`` for the list; ``None`` for other paths."""
    found = _list_of_models(path)
    return None if found is None else found[1] or ""
