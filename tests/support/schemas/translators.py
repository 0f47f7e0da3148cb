"""The translators of requests, and the servers for which they are tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from proxy.dialects.table import CHAT, GEMINI, MESSAGES, RESPONSES, Dialect
from proxy.dialects.translation.base import ClientSide, EncodingTarget, RequestEncoder
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from proxy.providers.models import gemini as models
from tests.support.schemas.judge import Outcome, translate

_DIALECTS: Final = {"messages": MESSAGES, "chat": CHAT, "responses": RESPONSES, "gemini": GEMINI}
CLIENTS: Final[dict[str, ClientSide]] = {name: each.client for name, each in _DIALECTS.items() if each.client}


class NeutralEncoder(RequestEncoder):
    """Sends all that a decoder found, so that what is lost was lost by the decoder."""

    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(conversation)
        del found["dropped"], found["echo"]  # what an answer repeats is not sent
        return found


def _encoder(dialect: Dialect) -> RequestEncoder:
    assert dialect.provider is not None
    return dialect.provider.encode_request


_CHAT: Final = _encoder(CHAT)
_MESSAGES: Final = _encoder(MESSAGES)
_RESPONSES: Final = _encoder(RESPONSES)
_GEMINI: Final = _encoder(GEMINI)

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
        side, target = CLIENTS[client], EncodingTarget("m", self.facts, "issuer")
        return translate(side.decode_request, self.encoder, request, target, side.names)


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
    Server("Gemini", "gemini", _GEMINI),
    Server(
        "Gemini with little",
        "gemini",
        _GEMINI,
        replace(models.GEMINI["gemini-2.0-flash"], sampling=False, refuses=frozenset(("seed", "logprobs"))),
    ),
)
PLAIN_SERVERS: Final = [each for each in SERVERS if each.facts is DEFAULT]
