"""The settings of a request, as the Responses API has them.

https://platform.openai.com/docs/api-reference/responses/create, and the types of the package openai 3.57
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from proxy.dialects.openai.chat import cache_breakpoints
from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.settings_encoder import TIERS, output_format, short_text, tags_fit
from proxy.dialects.openai.chat.provider.thinking_encoder import NONE, encode_thinking
from proxy.dialects.translation.conversation import Conversation, SamplingSettings, ThinkingSettings
from proxy.dialects.translation.members import JsonObject

LEAST_TOKENS: Final = 16  # that ``max_output_tokens`` may be
SEALED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"

_LACKING: Final = ("top_k", "seed", "presence_penalty", "frequency_penalty", "logit_bias")
_OPENAIS: Final = ("service_tier", "prompt_cache_key", "metadata")  # servers that are compatible may refuse them
_SAMPLING: Final = ("temperature", "top_p")


def encode_settings(conversation: Conversation, encoding: ChatEncoding) -> JsonObject:
    """All settings that the API and the model have; the others are lost.

    ``include`` asks for encrypted reasoning, as nothing is stored. Models that do not reason refuse that.
    """
    reasoning = _reasoning(conversation.thinking, encoding)
    found = {name: value for name, value in _wanted(conversation, encoding) if value not in (None, "")}
    include = [SEALED] if encoding.facts.efforts != () else []
    takes_sampling = encoding.facts.takes_sampling(reasoning.get("effort", ""))
    if not takes_sampling:
        _leave_out(found, _SAMPLING, encoding)
    if _logprobs(conversation.sampling, encoding, takes_sampling=takes_sampling):
        include.append(LOGPROBS)
        if conversation.sampling.top_logprobs is not None:
            found["top_logprobs"] = conversation.sampling.top_logprobs
    if not encoding.facts.openai:
        _leave_out(found, _OPENAIS, encoding)
    text = _text(conversation, encoding)
    _note_lacking(conversation, encoding)
    found |= {"reasoning": reasoning} if reasoning else {}
    found |= {"text": text} if text else {}
    found |= {"include": include} if include else {}
    return found | _cache_options(conversation, encoding) | {"store": False}


def _wanted(conversation: Conversation, encoding: ChatEncoding) -> Iterator[tuple[str, Any]]:
    """Settings that have one value; ``None`` and ``""`` for those that the client does not say."""
    yield "max_output_tokens", _limit(conversation, encoding)
    yield "temperature", conversation.sampling.temperature
    yield "top_p", conversation.sampling.top_p
    yield "service_tier", _tier(conversation, encoding)
    yield "safety_identifier" if encoding.facts.openai else "user", short_text(conversation.end_user)
    yield "prompt_cache_key", short_text(conversation.cache_key)
    yield "metadata", _tags(conversation, encoding)


def _leave_out(found: JsonObject, names: Iterable[str], encoding: ChatEncoding) -> None:
    for name in names:
        if found.pop(name, None) is not None:
            encoding.losses.drop(name)


def _reasoning(settings: ThinkingSettings, encoding: ChatEncoding) -> JsonObject:
    effort = encode_thinking(settings, encoding, with_tools=False).get("reasoning_effort", "")
    found = {"effort": effort} if effort else {}
    if effort != NONE and encoding.facts.efforts != () and _is_shown(settings):
        found["summary"] = "auto"
    return found


def _is_shown(settings: ThinkingSettings) -> bool:
    """Whether the client wants to see thoughts.

    Never asked for without need: OpenAI refuses a summary to organizations that are not verified.
    """
    return settings.shown == "summary" or (settings.shown == "" and settings.mode in ("on", "adaptive"))


def _limit(conversation: Conversation, encoding: ChatEncoding) -> int | None:
    """The client's limit, within what the model and the API take."""
    wanted, most = conversation.output_tokens, encoding.facts.output_tokens
    if wanted is None:
        return None
    taken = max(min(wanted, most or wanted), LEAST_TOKENS)
    if taken != wanted:
        encoding.losses.drop(encoding.client.limit)
    return taken


def _tier(conversation: Conversation, encoding: ChatEncoding) -> str:
    tier = conversation.service_tier
    if tier == "auto" and not encoding.facts.openai:
        return ""  # there is no other
    if tier and not (encoding.facts.openai and tier in TIERS):
        encoding.losses.drop(encoding.client.tier_fast if tier == "fast" else "service_tier")
        return ""
    return tier


def _tags(conversation: Conversation, encoding: ChatEncoding) -> JsonObject | None:
    if not conversation.tags:
        return None
    if encoding.facts.openai and not tags_fit(conversation.tags):
        encoding.losses.drop("metadata")
        return None
    return conversation.tags


def _logprobs(sampling: SamplingSettings, encoding: ChatEncoding, *, takes_sampling: bool) -> bool:
    """Whether to ask for log probabilities."""
    if not (sampling.logprobs or sampling.top_logprobs is not None):
        return False
    if encoding.facts.openai and not takes_sampling:
        encoding.losses.drop(encoding.client.logprobs)
        if sampling.top_logprobs is not None:
            encoding.losses.drop("top_logprobs")
        return False
    return True


def _text(conversation: Conversation, encoding: ChatEncoding) -> JsonObject:
    """What the text of the answer should be. Raises Untranslatable where the model takes no schema."""
    found: JsonObject = {}
    wanted = conversation.output_format
    if wanted is not None:
        form = output_format(wanted, encoding)
        if wanted.schema is None and (wanted.name or wanted.description or wanted.strict is not None):
            encoding.losses.drop(encoding.client.output_format)
        found["format"] = {"type": form["type"], **form.get("json_schema", {})}
    if conversation.verbosity:
        if encoding.facts.openai:
            found["verbosity"] = conversation.verbosity
        else:
            encoding.losses.drop(encoding.client.verbosity)
    return found


def _note_lacking(conversation: Conversation, encoding: ChatEncoding) -> None:
    losses = encoding.losses
    losses.drop(*(name for name in _LACKING if getattr(conversation.sampling, name) is not None))
    if any(conversation.stop):
        losses.drop(encoding.client.stop)
    if conversation.store:
        losses.drop("store")
    losses.drop(*(f"include[{each}]" for each in sorted(conversation.include - {SEALED, LOGPROBS})))


def _cache_options(conversation: Conversation, encoding: ChatEncoding) -> JsonObject:
    found: JsonObject = {}
    if encoding.facts.cache_marks == "breakpoint":
        cache_breakpoints.mark_end(found, conversation.cache, encoding)
    elif conversation.cache is not None:
        encoding.losses.drop(encoding.client.cache_end)
    return found
