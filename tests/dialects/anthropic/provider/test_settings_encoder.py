from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.anthropic.provider.settings_encoder import DEFAULT_OUTPUT_TOKENS, encode_settings, output_limit
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts

NAMES = member_names("openai.responses")


def encoded(**members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    losses = Losses()
    return encode_settings(Conversation("openai.responses", [], **members), losses, NAMES), losses.names


@pytest.mark.parametrize(
    ("wanted", "known", "sent", "told"),
    [
        (None, 0, DEFAULT_OUTPUT_TOKENS, ()),
        (None, 8192, 8192, ()),
        (100, 0, 100, ()),
        (100, 8192, 100, ()),
        (9000, 8192, 8192, ("max_output_tokens",)),
        (0, 8192, 0, ()),
    ],
)
def test_the_answer_has_a_limit(wanted: int | None, known: int, sent: int, told: tuple[str, ...]) -> None:
    losses = Losses()
    conversation = Conversation("openai.responses", [], output_tokens=wanted)
    assert output_limit(conversation, ModelFacts(output_tokens=known), losses, NAMES) == sent
    assert losses.names == told


def test_stop_sequences_of_white_space_are_lost() -> None:
    assert encoded(stop=["END", "\n\n", ""]) == ({"stop_sequences": ["END"]}, ("stop",))
    assert encoded(stop=["\n"]) == ({}, ("stop",))


@pytest.mark.parametrize("user", ["u-1", '{"session":"a"}', "12345", "x" * 256])
def test_the_end_user_is_an_opaque_id(user: str) -> None:
    assert encoded(end_user=user) == ({"metadata": {"user_id": user}}, ())


@pytest.mark.parametrize("user", ["a@example.com", "+49 (30) 123456", "x" * 257, "\ud83d" * 300])
def test_other_users_are_hashed(user: str) -> None:
    found, told = encoded(end_user=user)
    assert told == ()
    assert found == encoded(end_user=user)[0] != encoded(end_user=user + "x")[0]
    assert len(found["metadata"]["user_id"]) == 32


@pytest.mark.parametrize(
    ("tier", "sent", "told"),
    [
        ("", None, ()),
        ("auto", "auto", ()),
        ("default", "standard_only", ()),
        ("standard_only", "standard_only", ()),
        ("priority", "auto", ("service_tier",)),
        ("flex", None, ("service_tier",)),
    ],
)
def test_a_tier_is_one_of_the_api(tier: str, sent: str | None, told: tuple[str, ...]) -> None:
    found, names = encoded(service_tier=tier)
    assert (found.get("service_tier"), names) == (sent, told)


def test_what_the_api_lacks_is_lost() -> None:
    wanted = frozenset({"reasoning.encrypted_content", "message.output_text.logprobs"})
    lost = encoded(verbosity="low", tags={"a": "b"}, cache_key="k", store=True, include=wanted)
    names = ("text.verbosity", "metadata", "prompt_cache_key", "store", "include[message.output_text.logprobs]")
    assert lost == ({}, names)
    assert encoded(tags={}, store=False, stream=True) == ({"stream": True}, ())
