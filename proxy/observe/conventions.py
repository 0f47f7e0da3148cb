"""Attributes of exchanges and attempts by OpenTelemetry's semantic conventions.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ and
https://opentelemetry.io/docs/specs/semconv/http/http-spans/. They contain no content of requests or responses.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from msgspec import UNSET

from proxy.exchange import Attempt, Exchange
from proxy.identity import Client
from proxy.observe.truncate import truncate
from proxy.routing.rules import NEUTRAL

Attributes = dict[str, str | bool | int | float]

# By path of the endpoint. Operations without a name in the conventions have our own.
OPERATIONS: Final = {
    "chat/completions": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "moderations": "moderation",
    "images/generations": "image_generation",
    "images/edits": "image_edit",
    "audio/speech": "speech",
    "audio/transcriptions": "transcription",
    "audio/translations": "translation",
    "responses/input_tokens": "count_tokens",
    "messages": "chat",
    "messages/count_tokens": "count_tokens",
    "generateContent": "generate_content",
    "streamGenerateContent": "generate_content",
    "countTokens": "count_tokens",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
    "models": "list_models",
    "*": "passthrough",
}
_NOWHERE: Final = "-"  # the path of an exchange that was not routed


def operation_of(exchange: Exchange) -> str:
    """The operation's name; ``""`` for an exchange without an endpoint."""
    path = exchange.endpoint.path
    return "" if path == _NOWHERE else OPERATIONS.get(path, path)


def model_of(exchange: Exchange) -> str:
    """The requested model; if the client left the choice open, the upstream model."""
    return text_of(exchange.model or exchange.request_model)


def of_exchange(exchange: Exchange, operation: str) -> Attributes:
    """Attributes of the exchange's span.

    Usage is set only here, so that backends which add spans do not count it twice.
    """
    attributes: Attributes = {
        "sluice.request_id": exchange.request_id,
        "sluice.outcome": exchange.outcome,
        "sluice.attempts": len(exchange.attempts),
    }
    if exchange.status:
        attributes["http.response.status_code"] = exchange.status
    if exchange.fallback_used:
        attributes["sluice.fallback"] = True
    if exchange.cache:
        attributes["sluice.cache"] = exchange.cache
    if operation:
        attributes["http.route"] = exchange.endpoint.path
        _generation(attributes, exchange, operation, exchange.provider, model_of(exchange))
        _answer(attributes, exchange)
        if exchange.first_content is not None:
            attributes["gen_ai.server.time_to_first_token"] = exchange.first_content - exchange.began
        _usage(attributes, exchange)
    _attribution(attributes, exchange)
    if error := _error(exchange):
        attributes["error.type"] = error
    return attributes


def of_attempt(exchange: Exchange, attempt: Attempt, operation: str, model: str) -> Attributes:
    """Attributes of an attempt's span; ``model`` is the upstream model."""
    host, port = _address(attempt.deployment.sites[exchange.endpoint.path].base_url)
    attributes: Attributes = {"server.address": host, "server.port": port}
    _generation(attributes, exchange, operation, attempt.deployment.provider.name, model)
    if not attempt.failure:
        _answer(attributes, exchange)
    status = attempt.status if attempt.failure else exchange.status
    if status:
        attributes["http.response.status_code"] = status
    if attempt.first_content is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = attempt.first_content - attempt.began
    if blamed(attempt):
        attributes["error.type"] = attempt.failure
    elif attempt.failure:
        attributes["sluice.cut_short"] = attempt.failure
    return attributes


def _generation(attributes: Attributes, exchange: Exchange, operation: str, provider: str, model: str) -> None:
    attributes["gen_ai.operation.name"] = operation
    if provider:
        attributes["gen_ai.provider.name"] = attributes["gen_ai.system"] = provider  # the latter for older backends
    if model:
        attributes["gen_ai.request.model"] = model
    if exchange.stream:
        attributes["gen_ai.request.stream"] = True


def _answer(attributes: Attributes, exchange: Exchange) -> None:
    if exchange.response_model:
        attributes["gen_ai.response.model"] = text_of(exchange.response_model)


def _usage(attributes: Attributes, exchange: Exchange) -> None:
    """In the conventions, input includes cached tokens, and output includes reasoning."""
    usage = exchange.usage
    if usage is None:
        return
    if usage.total_input is not None:
        attributes["gen_ai.usage.input_tokens"] = usage.total_input
    if usage.total_output is not None:
        attributes["gen_ai.usage.output_tokens"] = usage.total_output
    if usage.cache_read:
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read
    if usage.reasoning:
        attributes["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning
    if usage.details is not UNSET:
        written = (usage.details.cache_write or 0) + (usage.details.cache_write_1h or 0)
        if written:
            attributes["gen_ai.usage.cache_creation.input_tokens"] = written


def _attribution(attributes: Attributes, exchange: Exchange) -> None:
    """Who used it, for what and at what cost. ``gen_ai.usage.cost`` is in no convention, but read by backends: USD."""
    if exchange.run:
        attributes["session.id"] = attributes["gen_ai.conversation.id"] = exchange.run
    caller = exchange.caller
    if caller is not None:
        attributes |= {name: text for name, text in _facts_of(caller) if text}
    for name, value in exchange.labels:
        attributes[f"sluice.label.{name}"] = value
    if exchange.cost is not None:
        attributes["gen_ai.usage.cost"] = exchange.cost / 1e9


def _facts_of(caller: Client) -> tuple[tuple[str, str], ...]:
    return (
        ("user.id", caller.owner),
        ("sluice.key", caller.key),
        ("sluice.team", caller.team),
        ("sluice.project", caller.project),
    )


def _error(exchange: Exchange) -> str:
    """Why the client got no complete response; ``""`` if it did, or left by itself."""
    if exchange.outcome == "ok" or (exchange.outcome == "client_gone" and not exchange.error):
        return ""
    return text_of(exchange.error) or (str(exchange.status) if exchange.status >= 400 else exchange.outcome)


def is_failure(exchange: Exchange) -> bool:
    """Whether the server failed; client errors are no errors of a server span."""
    return exchange.outcome in ("error", "damaged", "broken", "cancelled") and not 400 <= exchange.status < 500


def blamed(attempt: Attempt) -> bool:
    """Whether the provider failed; not if the attempt lost a race or its client left."""
    return bool(attempt.failure) and attempt.failure not in NEUTRAL


def text_of(text: str) -> str:
    """Text from others, truncated, and without characters that cannot be encoded: one would fail the whole batch."""
    kept = truncate(text)
    return kept if kept.isascii() else kept.encode("utf-8", "replace").decode()


@lru_cache(maxsize=1024)
def _address(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
