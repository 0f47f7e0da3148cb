"""The translators of requests, and the servers for which they are tried."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from proxy.dialects.translation.base import EncodingTarget, RequestDecoder, RequestEncoder
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from tests.support.schemas.judge import Outcome, translate


def _made(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(f"proxy.dialects.{module}"), name)()
    except ModuleNotFoundError:
        return None


DECODERS: Final[dict[str, RequestDecoder]] = {
    "messages": _made("anthropic.request_decoder", "MessagesRequestDecoder"),
    "chat": _made("openai.chat.request_decoder", "ChatRequestDecoder"),
    "responses": _made("openai.responses.request_decoder", "ResponsesRequestDecoder"),
}


class NeutralEncoder(RequestEncoder):
    """Sends all that a decoder found, so that what is lost was lost by the decoder."""

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(conversation)
        del found["dropped"], found["echo"]  # what an answer repeats is not sent
        return found


_CHAT: Final[RequestEncoder] = _made("openai.chat.request_encoder", "ChatRequestEncoder")
_MESSAGES: Final[RequestEncoder] = _made("anthropic.request_encoder", "MessagesRequestEncoder")
_RESPONSES: Final[RequestEncoder] = _made("openai.responses.request_encoder", "ResponsesRequestEncoder")

DEFAULT: Final = ModelFacts()


@dataclass(frozen=True, eq=False)
class Server:
    """``dialect``: its API."""

    name: str
    dialect: str
    encoder: RequestEncoder
    facts: ModelFacts = DEFAULT

    def __str__(self) -> str:
        return self.name

    def run(self, client: str, request: Any) -> Outcome:
        """What the server gets of a client's request."""
        return translate(DECODERS[client], self.encoder, request, EncodingTarget("m", self.facts, "issuer"))


SERVERS: Final = (
    Server("neutral terms", "", NeutralEncoder()),
    Server("chat", "chat", _CHAT),
    Server(
        "OpenAI",
        "chat",
        _CHAT,
        ModelFacts(openai=True, limit_name="max_completion_tokens", cache_marks="breakpoint", efforts=("low", "high")),
    ),
    Server(
        "chat with little",
        "chat",
        _CHAT,
        ModelFacts(
            thinking="none", sampling=False, structured=False, late_system=False, refuses=frozenset(("user", "stop"))
        ),
    ),
    Server(
        "chat with much",
        "chat",
        _CHAT,
        ModelFacts(
            takes=frozenset(("top_k", "seed", "cache_control")),
            returned_reasoning="yes",
            cache_marks="cache_control",
            reasoning_name="reasoning",
        ),
    ),
    Server("responses", "responses", _RESPONSES),
    Server(
        "OpenAI's responses",
        "responses",
        _RESPONSES,
        ModelFacts(openai=True, cache_marks="breakpoint", efforts=("none", "low", "high")),
    ),
    Server(
        "responses with little",
        "responses",
        _RESPONSES,
        ModelFacts(sampling=False, efforts=(), structured=False, late_system=False),
    ),
    Server("messages", "messages", _MESSAGES),
    Server("old Claude", "messages", _MESSAGES, ModelFacts(thinking="budget", prefill=True, late_system=False)),
    Server(
        "new Claude", "messages", _MESSAGES, ModelFacts(output_tokens=64000, sampling=False, efforts=("low", "high"))
    ),
    Server("small Claude", "messages", _MESSAGES, ModelFacts(output_tokens=4096, thinking="none", structured=False)),
)
PLAIN_SERVERS: Final = [each for each in SERVERS if each.facts is DEFAULT]
