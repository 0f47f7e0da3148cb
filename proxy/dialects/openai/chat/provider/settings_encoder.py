"""The settings of a request, as chat has them.

https://platform.openai.com/docs/api-reference/chat/create. Servers that are compatible with OpenAI's take the oldest of
these members, and refuse some of them. Members that only some servers have go to those alone.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from msgspec.structs import asdict

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.translation.client_names import MemberNames
from proxy.dialects.translation.conversation import Conversation, JsonFormat
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

MOST_STOPS: Final = 4
# Characters of a user's name (128 at OpenRouter and Z.ai), and of a cache key at OpenAI, Azure and Meta:
# https://github.com/looplj/axonhub/issues/1669, https://github.com/theopenco/llmgateway/pull/3110
_MOST_SHORT: Final = 64
_MOST_TAGS: Final = 16
_MOST_TAG: Final = 512  # characters

# Members of OpenAI's own that servers which are only compatible refuse, or ignore.
_OPENAIS: Final = frozenset({"verbosity", "service_tier", "prompt_cache_key", "store", "metadata"})
TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})

# Members that models refuse which do not take a temperature, and those that only OpenAI's refuse:
# https://developers.openai.com/api/docs/guides/latest-model ("Parameter compatibility")
_SAMPLING: Final = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty")
_SAMPLING_AT_OPENAI: Final = ("logit_bias", "logprobs", "top_logprobs", "stop")

_other: Final = re.compile(r"[^a-zA-Z0-9_-]").sub


def encode_settings(conversation: Conversation, encoding: ChatEncoding, effort: str) -> JsonObject:
    """All settings that the server and the model take; the others are lost. ``effort``: that of the request.

    Raises Untranslatable for several answers where the server gives one.
    """
    facts = encoding.facts
    if conversation.choices > 1 and "n" in facts.refuses:
        raise Untranslatable(encoding.client.choices, "The provider gives one answer to a request.")
    found = _wanted(conversation, encoding)
    refused = set(facts.refuses)
    if not facts.takes_sampling(effort):
        refused.update(_SAMPLING, _SAMPLING_AT_OPENAI if facts.openai else ())
    if not facts.openai:
        refused |= _OPENAIS - facts.takes
    if "top_k" not in facts.takes:
        refused.add("top_k")
    if "logprobs" in refused:
        refused.add("top_logprobs")
    for name in sorted(refused & found.keys()):
        del found[name]
        encoding.losses.drop(_client_name(name, encoding.client, conversation))
    return found


def output_format(wanted: JsonFormat, encoding: ChatEncoding) -> JsonObject:
    """``response_format``. Raises Untranslatable where the model takes no schema, or not this one."""
    if wanted.schema is None:
        return {"type": "json_object"}
    if not encoding.facts.structured:
        raise Untranslatable(encoding.client.output_format, "The model does not keep to a schema.")
    if encoding.facts.openai and not (isinstance(wanted.schema, dict) and wanted.schema.get("type") == "object"):
        # https://developers.openai.com/api/docs/guides/structured-outputs#root-objects-must-not-be-anyof-and-must-be-an-object
        raise Untranslatable(encoding.client.output_schema, "OpenAI needs a schema of an object. Put yours into one.")
    schema: JsonObject = {"name": _other("_", wanted.name)[:64] or "response", "schema": wanted.schema}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _wanted(conversation: Conversation, encoding: ChatEncoding) -> JsonObject:
    """All settings that the client makes, by their names in chat."""
    found: JsonObject = {}
    if conversation.output_tokens is not None:
        found[encoding.facts.limit_name] = _limit(conversation.output_tokens, encoding)
    sampling = asdict(conversation.sampling)
    sampling["logprobs"] = sampling["logprobs"] or sampling["top_logprobs"] is not None or None
    found |= {name: value for name, value in sampling.items() if value is not None}
    others = {
        "n": conversation.choices if conversation.choices > 1 else None,
        "stop": _stop(conversation.stop, encoding),
        "user": short_text(conversation.end_user),
        "verbosity": conversation.verbosity,
        "service_tier": _service_tier(conversation.service_tier, encoding),
        "prompt_cache_key": short_text(conversation.cache_key),
        "store": conversation.store,  # no server keeps an answer without being asked to
        "metadata": _tags(conversation, encoding),
    }
    return found | {name: value for name, value in others.items() if value}


def _limit(wanted: int, encoding: ChatEncoding) -> int:
    """The client's limit, or the model's if that is lower: OpenAI refuses more."""
    most = encoding.facts.output_tokens
    if not 0 < most < wanted:
        return wanted
    encoding.losses.drop(encoding.client.limit)
    return most


def _stop(stop: list[str], encoding: ChatEncoding) -> list[str]:
    stop = list(filter(None, stop))
    if len(stop) > MOST_STOPS:
        encoding.losses.drop(encoding.client.stop)
    return stop[:MOST_STOPS]


def short_text(name: str) -> str:
    """A name by which only equal ones are found: of an end user, or of a part of the prompt cache.

    Longer ones are hashed: Claude Code sends 150 characters for its user.
    """
    return name if len(name) <= _MOST_SHORT else sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _service_tier(tier: str, encoding: ChatEncoding) -> str:
    if tier and tier not in TIERS:
        encoding.losses.drop("service_tier")
        return ""
    return "" if tier == "auto" and not encoding.facts.openai else tier


def _tags(conversation: Conversation, encoding: ChatEncoding) -> JsonObject | None:
    """OpenAI refuses them without ``store`` (https://github.com/tmc/langchaingo/issues/1484), and other values."""
    tags = conversation.tags
    if not tags or not encoding.facts.openai:
        return tags or None
    if tags_fit(tags) and conversation.store:
        return tags
    encoding.losses.drop("metadata")
    return None


def tags_fit(tags: JsonObject) -> bool:
    """Whether OpenAI takes these metadata."""
    return len(tags) <= _MOST_TAGS and all(isinstance(each, str) and len(each) <= _MOST_TAG for each in tags.values())


def _client_name(name: str, client: MemberNames, conversation: Conversation) -> str:
    if name == "service_tier" and conversation.service_tier == "fast":
        return client.tier_fast
    return {
        "logprobs": client.logprobs,
        "stop": client.stop,
        "user": client.user,
        "verbosity": client.verbosity,
    }.get(name, name)
