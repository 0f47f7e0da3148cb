"""Table of the demo's JSON endpoints, by the API that they belong to.

OpenAI's and Anthropic's paths begin with ``/v1``, Google's with ``/v1beta``, ``/v1alpha`` or ``/v1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

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
from proxy.demo.images import ImageCall, images
from proxy.demo.models import DemoModel
from proxy.demo.moderations import ModerationCall, moderations
from proxy.demo.openai_api import OpenAIApi
from proxy.demo.responses import ResponsesCall, responses


class DemoEndpoint(Struct, frozen=True):
    """``shape`` of the request body, and what makes the answer of a model."""

    shape: Any
    build: Callable[[Any, DemoModel], DemoAnswer]


class FoundEndpoint(Struct, frozen=True):
    endpoint: DemoEndpoint

    def decode(self, body: bytes) -> Any:
        """Raises msgspec's errors."""
        return msgspec.json.decode(body, type=self.endpoint.shape)


OPENAI: Final = OpenAIApi()
ANTHROPIC: Final = AnthropicApi()

ENDPOINTS: Final[Mapping[str, DemoEndpoint]] = {
    "/v1/chat/completions": DemoEndpoint(ChatCall, chat),
    "/v1/completions": DemoEndpoint(CompletionCall, completion),
    "/v1/embeddings": DemoEndpoint(EmbeddingCall, embeddings),
    "/v1/responses": DemoEndpoint(ResponsesCall, responses),
    "/v1/moderations": DemoEndpoint(ModerationCall, moderations),
    "/v1/images/generations": DemoEndpoint(ImageCall, images),
    "/v1/audio/speech": DemoEndpoint(SpeechCall, speech),
    "/v1/messages": DemoEndpoint(MessagesCall, messages),
    "/v1/messages/count_tokens": DemoEndpoint(CountCall, count_tokens),
}

_list_of_models = re.compile(r"/v1/models(?:/(.+))?").fullmatch


def api_of(path: str, headers: Mapping[str, str]) -> DemoApi:
    """The API that a client speaks. Lists of models have the same path in two of them."""
    return ANTHROPIC if path.startswith("/v1/messages") or "anthropic-version" in headers else OPENAI


def find_endpoint(path: str, query: str) -> FoundEndpoint | None:
    endpoint = ENDPOINTS.get(path)
    return None if endpoint is None else FoundEndpoint(endpoint)


def listed_model(path: str) -> str | None:
    """The name of a model whose description is requested, ``""`` for the list; ``None`` for other paths."""
    found = _list_of_models(path)
    return None if found is None else found[1] or ""
