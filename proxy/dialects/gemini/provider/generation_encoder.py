"""The settings of a request, as the Gemini API has them: ``generationConfig`` and a few members beside it.

Source: https://ai.google.dev/api/generate-content#generationconfig
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.gemini.provider.openapi_schema import openapi_schema
from proxy.dialects.gemini.provider.thinking_encoder import encode_thinking
from proxy.dialects.translation.conversation import Conversation, JsonFormat, SamplingSettings
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

MOST_STOPS: Final = 5
_SEEDS: Final = range(-(2**31), 2**31)
_TIERS: Final = {"default": "standard", "flex": "flex", "priority": "priority", "auto": ""}
_OF_SAMPLING: Final = ("temperature", "top_p", "top_k")
_NAMES: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
# Of ``include``: what an answer has anyway, as reasoning is packed for the client, or by ``logprobs``.
_SEALED: Final = "reasoning.encrypted_content"
_LOGPROBS: Final = "message.output_text.logprobs"


def encode_settings(conversation: Conversation, encoding: GeminiEncoding, *, with_tools: bool) -> JsonObject:
    """``generationConfig`` and ``serviceTier``. Settings that the model does not take are lost.

    Raises Untranslatable for a form of the output that the model lacks, and for more answers than it gives.
    """
    _drop_others(conversation, encoding)
    config: JsonObject = dict(_limits(conversation, encoding))
    config |= _sampling(conversation.sampling, encoding)
    config |= _output_format(conversation.output_format, encoding, with_tools=with_tools)
    thinking = encode_thinking(conversation.thinking, encoding)
    if thinking:
        config["thinkingConfig"] = thinking
    found: JsonObject = {"generationConfig": config} if config else {}
    tier = _TIERS.get(conversation.service_tier, "")
    return found | ({"serviceTier": tier} if tier else {})


def _limits(conversation: Conversation, encoding: GeminiEncoding) -> Iterator[tuple[str, Any]]:
    client, losses = encoding.client, encoding.losses
    if conversation.choices > 1:
        _check_choices(conversation, encoding)
        yield "candidateCount", conversation.choices
    wanted, most = conversation.output_tokens, encoding.facts.output_tokens
    if wanted is not None and 0 < most < wanted:
        losses.drop(client.limit)
        wanted = most
    if wanted is not None:
        yield "maxOutputTokens", wanted
    stop = [each for each in conversation.stop if each]
    if len(stop) > MOST_STOPS:
        losses.drop(client.stop)
    if stop:
        yield "stopSequences", stop[:MOST_STOPS]


def _check_choices(conversation: Conversation, encoding: GeminiEncoding) -> None:
    """Raise Untranslatable for more answers than the model gives."""
    facts, name = encoding.facts, encoding.client.choices
    if conversation.stream and not facts.streams_candidates:
        raise Untranslatable(name, "The provider streams one answer only.")
    if conversation.choices > facts.candidates:
        most = "one answer" if facts.candidates == 1 else f"{facts.candidates} answers"
        raise Untranslatable(name, f"The model gives at most {most} to a request.")


def _sampling(sampling: SamplingSettings, encoding: GeminiEncoding) -> JsonObject:
    """Each setting by its name here. Those that the model refuses are lost."""
    wanted: JsonObject = {
        name: value for name in _NAMES if name != "logprobs" and (value := getattr(sampling, name)) is not None
    }
    if sampling.logprobs or sampling.top_logprobs is not None:
        wanted["logprobs"] = True
    if not wanted.get("top_logprobs"):  # none beside the token itself
        wanted.pop("top_logprobs", None)
    refused = set(encoding.facts.refuses)
    if not encoding.facts.sampling:
        refused.update(_OF_SAMPLING)
    if "logprobs" in refused:
        refused.add("top_logprobs")
    if wanted.get("seed", 0) not in _SEEDS:
        refused.add("seed")
    for name in sorted(refused & wanted.keys()):
        del wanted[name]
        encoding.losses.drop(encoding.client.logprobs if name == "logprobs" else name)
    if sampling.logit_bias:
        encoding.losses.drop("logit_bias")
    return {_NAMES[name]: value for name, value in wanted.items()}


def _output_format(wanted: JsonFormat | None, encoding: GeminiEncoding, *, with_tools: bool) -> JsonObject:
    if wanted is None:
        return {}
    facts, client = encoding.facts, encoding.client
    if with_tools and not facts.format_with_tools:
        raise Untranslatable(client.output_format, "The model takes no form of the output beside tools.")
    found: JsonObject = {"responseMimeType": "application/json"}
    if wanted.schema is None:
        if wanted.name or wanted.description or wanted.strict:
            encoding.losses.drop(client.output_format)
        return found
    if not facts.structured:
        raise Untranslatable(client.output_format, "The model does not keep to a schema.")
    schema = wanted.schema
    if isinstance(schema, dict):
        words = {"title": wanted.name, "description": wanted.description}
        schema = {name: text for name, text in words.items() if text} | schema
    if facts.json_schemas:
        return found | {"responseJsonSchema": schema}
    converted = openapi_schema(schema)
    if not converted.exact:
        encoding.losses.drop(client.output_schema)
    return found | {"responseSchema": converted.schema}


def _drop_others(conversation: Conversation, encoding: GeminiEncoding) -> None:
    """What the API lacks."""
    client, losses, tier = encoding.client, encoding.losses, conversation.service_tier
    for name, value in (
        (client.user, conversation.end_user),
        (client.verbosity, conversation.verbosity),
        (client.cache_end, conversation.cache),
        ("metadata", conversation.tags),
        ("prompt_cache_key", conversation.cache_key),
        ("store", conversation.store),
        (client.tier_fast if tier == "fast" else "service_tier", tier and tier not in _TIERS),
    ):
        if value:
            losses.drop(name)
    included = {_SEALED} if "logprobs" in encoding.facts.refuses else {_SEALED, _LOGPROBS}
    losses.drop(*(f"include[{each}]" for each in sorted(conversation.include - included)))
