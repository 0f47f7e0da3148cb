"""Settings of a request that need no others: the limit of the answer, stop sequences, the end user, the service tier.

Source: https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Final

from proxy.dialects.translation.client_names import MemberNames
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts

# Most tokens of an answer where neither the client nor the table of models says it: all models since Claude 4 take it.
DEFAULT_OUTPUT_TOKENS: Final = 32_000

# OpenAI's ``priority`` becomes what the API does without a tier: use priority where the account has it.
_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only", "priority": "auto"}
_INCLUDED: Final = frozenset({"reasoning.encrypted_content"})  # packed for the client in any case
_MOST_USER: Final = 256  # characters of metadata.user_id
_HASH: Final = 32  # hexadecimal digits
_is_personal: Final = re.compile(r".*@.*\..*|[+()\d\s.-]{7,}", re.DOTALL).fullmatch


def output_limit(conversation: Conversation, facts: ModelFacts, losses: Losses, client: MemberNames) -> int:
    """``max_tokens``, which the API needs, and refuses above the model's own limit."""
    wanted, most = conversation.output_tokens, facts.output_tokens
    if wanted is None:
        return most or DEFAULT_OUTPUT_TOKENS
    if most and wanted > most:
        losses.drop(client.limit)
        return most
    return wanted


def encode_settings(conversation: Conversation, losses: Losses, client: MemberNames) -> dict[str, Any]:
    _drop_others(conversation, losses, client)
    found: dict[str, Any] = {}
    stop = [each for each in conversation.stop if each and not each.isspace()]  # the API refuses white space
    if len(stop) < len(conversation.stop):
        losses.drop(client.stop)
    if stop:
        found["stop_sequences"] = stop
    if conversation.end_user:
        found["metadata"] = {"user_id": _opaque(conversation.end_user)}
    tier = conversation.service_tier
    if tier and (tier not in _TIERS or tier == "priority"):
        losses.drop("service_tier")
    if tier in _TIERS:
        found["service_tier"] = _TIERS[tier]
    if conversation.stream:
        found["stream"] = True
    return found


def _drop_others(conversation: Conversation, losses: Losses, client: MemberNames) -> None:
    """What the API lacks."""
    for name, value in (
        (client.verbosity, conversation.verbosity),
        ("metadata", conversation.tags),
        ("prompt_cache_key", conversation.cache_key),
        ("store", conversation.store),
    ):
        if value:
            losses.drop(name)
    losses.drop(*(f"include[{each}]" for each in sorted(conversation.include - _INCLUDED)))


def _opaque(user: str) -> str:
    """An id of the user. Mail addresses, telephone numbers and long ids are hashed: the API refuses them."""
    if len(user) <= _MOST_USER and not _is_personal(user):
        return user
    return sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
