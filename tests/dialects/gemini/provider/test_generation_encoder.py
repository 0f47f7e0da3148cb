from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import JsonFormat, SamplingSettings, ThinkingSettings
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.gemini_encoding import NEW, OLD, OLDEST, asking, encode

SCHEMA = {"type": "object", "properties": {"a": {"const": "x"}}, "additionalProperties": False}
ANY = ModelFacts()


def config(facts: Any = ANY, source: str = "openai.chat", **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = encode(asking(source=source, **members), facts)
    return found.config, found.dropped


def sampling(facts: Any = ANY, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    return config(facts, sampling=SamplingSettings(**members))


def test_a_request_without_settings_has_no_configuration() -> None:
    assert "generationConfig" not in encode(asking()).body


def test_each_setting_has_its_name() -> None:
    found = sampling(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logprobs=True,
        top_logprobs=3,
    )
    assert found == (
        {
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40,
            "seed": 7,
            "presencePenalty": 0.1,
            "frequencyPenalty": -0.1,
            "responseLogprobs": True,
            "logprobs": 3,
        },
        (),
    )


def test_log_probabilities_without_alternatives_have_no_number() -> None:
    assert sampling(logprobs=True) == sampling(top_logprobs=0) == ({"responseLogprobs": True}, ())


def test_what_a_model_refuses_is_told() -> None:
    every = {"temperature": 1.0, "top_k": 4, "presence_penalty": 0.1, "logprobs": True, "top_logprobs": 2, "seed": 1}
    assert sampling(NEW, **every) == (
        {"seed": 1},
        ("logprobs", "presence_penalty", "temperature", "top_k", "top_logprobs"),
    )
    assert sampling(OLD, temperature=1.0, frequency_penalty=0.1) == ({"temperature": 1.0}, ("frequency_penalty",))
    assert sampling(OLDEST, frequency_penalty=0.1)[0] == {"frequencyPenalty": 0.1}


def test_a_seed_of_more_than_32_bits_is_told() -> None:
    assert sampling(seed=2**31) == ({}, ("seed",))
    assert sampling(seed=-(2**31)) == ({"seed": -(2**31)}, ())


def test_log_probabilities_among_what_an_answer_should_include_are_told_where_the_model_refuses_them() -> None:
    name = "message.output_text.logprobs"
    asked: Any = {"include": frozenset({name}), "sampling": SamplingSettings(logprobs=True)}
    assert config(NEW, source="openai.responses", **asked) == ({}, (f"include[{name}]",))
    assert config(**asked) == ({"responseLogprobs": True}, ())


def test_a_bias_of_tokens_is_told() -> None:
    assert sampling(logit_bias={"5": 1}) == ({}, ("logit_bias",))


def test_the_limit_is_that_of_the_model_at_most() -> None:
    assert config(output_tokens=9) == ({"maxOutputTokens": 9}, ())
    assert config(NEW, output_tokens=100_000) == ({"maxOutputTokens": 65_536}, ("max_completion_tokens",))


def test_five_stop_sequences_are_taken() -> None:
    assert config(stop=["a", "", "b"]) == ({"stopSequences": ["a", "b"]}, ())
    assert config(stop=list("abcdef"), source="anthropic.messages") == (
        {"stopSequences": list("abcde")},
        ("stop_sequences",),
    )


def test_json_by_a_schema_has_its_name_and_description() -> None:
    form = JsonFormat(SCHEMA, "answer", "The answer.", strict=True)
    assert config(output_format=form) == (
        {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"title": "answer", "description": "The answer."} | SCHEMA,
        },
        (),
    )
    titled = JsonFormat(SCHEMA | {"title": "Own"}, "answer")
    assert config(output_format=titled)[0]["responseJsonSchema"]["title"] == "Own"


def test_any_json_has_no_schema() -> None:
    assert config(output_format=JsonFormat()) == ({"responseMimeType": "application/json"}, ())
    named = JsonFormat(name="answer", description="The answer.")
    assert config(output_format=named) == ({"responseMimeType": "application/json"}, ("response_format",))


def test_older_models_get_another_form_of_the_schema() -> None:
    found, lost = config(OLDEST, output_format=JsonFormat(SCHEMA | {"minItems": 1, "not": {}}))
    assert found["responseSchema"]["properties"] == {"a": {"type": "string", "enum": ["x"]}}
    assert lost == ("response_format.json_schema.schema",)


def test_a_schema_is_refused_where_the_model_keeps_to_none() -> None:
    with pytest.raises(Untranslatable):
        config(ModelFacts(structured=False), output_format=JsonFormat(SCHEMA))


def test_thinking_is_among_the_settings() -> None:
    assert config(NEW, thinking=ThinkingSettings(effort="low"))[0] == {
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True}
    }


@pytest.mark.parametrize(
    ("tier", "sent"), [("default", "standard"), ("flex", "flex"), ("priority", "priority"), ("auto", None), ("", None)]
)
def test_a_service_tier_stands_beside_the_configuration(tier: str, sent: str | None) -> None:
    found = encode(asking(service_tier=tier))
    assert (found.body.get("serviceTier"), found.dropped) == (sent, ())
