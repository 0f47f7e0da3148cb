from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from proxy.dialects.openai.chat.provider.settings_encoder import encode_settings, output_format
from proxy.dialects.translation.conversation import JsonFormat, SamplingSettings
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.chat_encoding import FACTS, OPENAI, asking, encoding

ALL = SamplingSettings(0.0, 0.9, 4, 1, 0.1, 0.2, {"1": 2}, True, 3)
REASONING = ModelFacts(openai=True, sampling=False, sampling_at_none=True)


def encoded(
    facts: ModelFacts = FACTS, *, effort: str = "", source: str = "anthropic.messages", **members: Any
) -> tuple[Any, tuple[str, ...]]:
    """The members, and what is told."""
    context = encoding(facts, source)
    return encode_settings(asking(source=source, **members), context, effort), context.losses.names


# Sampling


def test_sampling_is_sent() -> None:
    found, dropped = encoded(ModelFacts(takes=frozenset({"top_k"})), sampling=ALL)
    assert found == {
        "temperature": 0.0, "top_p": 0.9, "top_k": 4, "seed": 1, "presence_penalty": 0.1, "frequency_penalty": 0.2,
        "logit_bias": {"1": 2}, "logprobs": True, "top_logprobs": 3,
    }  # fmt: skip
    assert dropped == ()


def test_top_k_is_told_where_the_server_lacks_it() -> None:
    assert encoded(sampling=SamplingSettings(top_k=4)) == ({}, ("top_k",))


def test_the_number_of_alternatives_asks_for_log_probabilities() -> None:
    assert encoded(sampling=SamplingSettings(top_logprobs=0))[0] == {"logprobs": True, "top_logprobs": 0}


def test_a_model_that_reasons_takes_no_sampling() -> None:
    found, dropped = encoded(REASONING, sampling=ALL, stop=["END"])
    assert found == {"seed": 1}
    assert set(dropped) == {
        "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
        "top_logprobs", "stop_sequences",
    }  # fmt: skip
    assert encoded(REASONING, effort="none", sampling=SamplingSettings(temperature=1.0)) == ({"temperature": 1.0}, ())


def test_other_servers_take_stop_sequences_from_such_a_model() -> None:
    assert encoded(ModelFacts(sampling=False), stop=["END"]) == ({"stop": ["END"]}, ())


def test_what_a_server_refuses_is_told() -> None:
    facts = ModelFacts(refuses=frozenset({"user", "logprobs", "stop"}))
    found, dropped = encoded(facts, source="openai.responses", sampling=ALL, end_user="ann", stop=["END"])
    assert found.keys() == {"temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias"}
    assert set(dropped) == {"user", "include[message.output_text.logprobs]", "top_logprobs", "stop", "top_k"}


# Limits and stop sequences


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_has_the_name_that_the_server_knows(name: Any) -> None:
    assert encoded(ModelFacts(limit_name=name), output_tokens=7) == ({name: 7}, ())


def test_a_limit_above_the_models_is_the_models() -> None:
    assert encoded(ModelFacts(output_tokens=100), output_tokens=200) == ({"max_tokens": 100}, ("max_tokens",))
    assert encoded(ModelFacts(output_tokens=100), output_tokens=100) == ({"max_tokens": 100}, ())
    assert encoded(ModelFacts(output_tokens=100)) == ({}, ())


def test_four_stop_sequences_are_sent() -> None:
    assert encoded(stop=["a", "", "b"]) == ({"stop": ["a", "b"]}, ())
    assert encoded(stop=list("abcde")) == ({"stop": list("abcd")}, ("stop_sequences",))


def test_several_answers_are_asked_for() -> None:
    assert encoded(choices=2)[0] == {"n": 2}
    assert encoded(choices=1)[0] == {}


def test_several_answers_are_refused_where_the_server_gives_one() -> None:
    facts = ModelFacts(refuses=frozenset({"n"}))
    assert encoded(facts, choices=1) == ({}, ())
    with pytest.raises(Untranslatable) as caught:
        encoded(facts, source="gemini.generate", choices=2)
    assert caught.value.param == "generationConfig.candidateCount"


# Who asks, and for what


def test_a_long_name_of_a_user_is_hashed() -> None:
    assert encoded(end_user="ann") == ({"user": "ann"}, ())
    name = '{"device_id":"' + "x" * 140 + '"}'
    assert encoded(end_user=name) == ({"user": sha256(name.encode()).hexdigest()}, ())


def test_a_long_cache_key_is_hashed() -> None:
    key = "thread-1:" + "x" * 60
    assert encoded(ModelFacts(openai=True), cache_key=key)[0] == {"prompt_cache_key": sha256(key.encode()).hexdigest()}


def test_members_of_openai_go_to_openai_alone() -> None:
    members: dict[str, Any] = {
        "verbosity": "low", "service_tier": "flex", "cache_key": "k", "store": True, "tags": {"a": "b"},
    }  # fmt: skip
    found, dropped = encoded(OPENAI, **members)
    assert found == {
        "verbosity": "low", "service_tier": "flex", "prompt_cache_key": "k", "store": True, "metadata": {"a": "b"},
    }  # fmt: skip
    assert dropped == ()
    found, dropped = encoded(source="openai.responses", **members)
    assert found == {}
    assert set(dropped) == {"text.verbosity", "service_tier", "prompt_cache_key", "store", "metadata"}


def test_a_server_may_have_some_of_them() -> None:
    assert encoded(ModelFacts(takes=frozenset({"verbosity"})), verbosity="low") == ({"verbosity": "low"}, ())


@pytest.mark.parametrize(
    ("facts", "tier", "sent", "dropped"),
    [
        (OPENAI, "auto", {"service_tier": "auto"}, ()),
        (FACTS, "auto", {}, ()),  # what a server without tiers does
        (FACTS, "flex", {}, ("service_tier",)),
        (FACTS, "fast", {}, ("speed",)),
        (OPENAI, "of_another_kind", {}, ("service_tier",)),
    ],
)
def test_a_service_tier_is_sent_or_told(facts: ModelFacts, tier: str, sent: Any, dropped: Any) -> None:
    assert encoded(facts, service_tier=tier) == (sent, dropped)


@pytest.mark.parametrize(
    ("tags", "store"),
    [({"a": "b"}, None), ({"a": 1}, True), ({"a": "x" * 513}, True), ({str(number): "" for number in range(17)}, True)],
)
def test_metadata_that_openai_would_refuse_is_told(tags: dict[str, Any], store: bool | None) -> None:
    found, dropped = encoded(OPENAI, tags=tags, store=store)
    assert "metadata" not in found
    assert dropped == ("metadata",)


def test_other_servers_that_take_metadata_take_any() -> None:
    assert encoded(ModelFacts(takes=frozenset({"metadata"})), tags={"a": 1}) == ({"metadata": {"a": 1}}, ())


def test_what_must_not_be_stored_needs_no_word() -> None:
    assert encoded(OPENAI, store=False) == ({}, ())


# The form of the output

SCHEMA = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (JsonFormat(), {"type": "json_object"}),
        (JsonFormat(SCHEMA), {"type": "json_schema", "json_schema": {"name": "response", "schema": SCHEMA}}),
        (JsonFormat(SCHEMA, "my reply", "Of mine.", True),
         {"type": "json_schema", "json_schema": {"name": "my_reply", "schema": SCHEMA, "description": "Of mine.", "strict": True}}),
        (JsonFormat(SCHEMA, "x" * 70, strict=False),
         {"type": "json_schema", "json_schema": {"name": "x" * 64, "schema": SCHEMA, "strict": False}}),
    ],
)  # fmt: skip
def test_json_is_asked_for(wanted: JsonFormat, sent: Any) -> None:
    assert output_format(wanted, encoding()) == sent


def test_a_schema_is_refused_where_the_model_does_not_keep_to_it() -> None:
    with pytest.raises(Untranslatable, match=r"'output_config\.format'"):
        output_format(JsonFormat(SCHEMA), encoding(ModelFacts(structured=False)))
    assert output_format(JsonFormat(), encoding(ModelFacts(structured=False))) == {"type": "json_object"}


@pytest.mark.parametrize("schema", [{"type": "array", "items": SCHEMA}, {"anyOf": [SCHEMA]}, {}, True])
def test_a_schema_of_no_object_is_refused_where_the_server_is_openai_s(schema: Any) -> None:
    with pytest.raises(Untranslatable) as caught:
        output_format(JsonFormat(schema), encoding(OPENAI))
    assert caught.value.param == "output_config.format.schema"
    assert output_format(JsonFormat(schema), encoding())["json_schema"]["schema"] == schema
    assert output_format(JsonFormat(SCHEMA), encoding(OPENAI))["json_schema"]["schema"] == SCHEMA
