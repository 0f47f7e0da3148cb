"""What Langfuse reads of a span beside the conventions: usage, cost, tags.

https://langfuse.com/integrations/native/opentelemetry#property-mapping. Session and user are ``session.id`` and
``user.id``, which all spans have. Its own attributes are sent to Langfuse only.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, json

from proxy.dialects.usage import Usage
from proxy.exchange import Attempt, Exchange
from proxy.observe.conventions import Attributes

_PATH: Final = "/api/public/otel/v1/traces"


def is_langfuse(endpoint: str) -> bool:
    """Whether an OTLP endpoint is one of Langfuse, hosted by whomever."""
    return endpoint.endswith(_PATH)


def attributes_of(exchange: Exchange, attempt: Attempt | None) -> Attributes:
    """Attributes of the exchange's span; of one of its attempts, if that is given."""
    if attempt is not None:
        return {"langfuse.observation.type": "span"}  # only the exchange counts as a generation
    attributes: Attributes = {"langfuse.observation.type": "generation" if exchange.usage is not None else "span"}
    if exchange.usage is not None:
        attributes["langfuse.observation.usage_details"] = _encoded(_usage_details(exchange.usage))
    if exchange.cost is not None:
        attributes["langfuse.observation.cost_details"] = _encoded({"total": exchange.cost / 1e9})
    if exchange.labels:
        attributes["langfuse.trace.tags"] = _encoded([f"{name}={value}" for name, value in exchange.labels])
    return attributes


def _usage_details(usage: Usage) -> dict[str, int]:
    """Disjoint classes: Langfuse adds up those that begin with ``input``, and those that begin with ``output``."""
    classes = {
        "input": usage.input,
        "input_cached_tokens": usage.cache_read,
        "output": usage.output,
        "output_reasoning_tokens": usage.reasoning,
    }
    details = usage.details
    if details is not UNSET:
        classes |= {
            "input_cache_creation": details.cache_write,
            "input_cache_creation_1h": details.cache_write_1h,
            "input_audio_tokens": details.audio_input,
            "input_image_tokens": details.image_input,
            "output_audio_tokens": details.audio_output,
            "output_image_tokens": details.image_output,
        }
    return {name: tokens for name, tokens in classes.items() if tokens is not None}


def _encoded(value: object) -> str:
    return json.encode(value).decode()
