from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.translation.conversation import CacheMark, JsonFormat, SamplingSettings, ThinkingSettings
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import Untranslatable
from tests.support.responses_encoding import OPENAI, OTHER, settings


def sampling(facts: ModelFacts = OPENAI, **members: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    return settings(facts, sampling=SamplingSettings(**members))


def reasoning(facts: ModelFacts = OPENAI, **members: Any) -> Any:
    return settings(facts, thinking=ThinkingSettings(**members))[0].get("reasoning")


@pytest.mark.parametrize(
    ("wanted", "sent", "dropped"),
    [(100, 100, ()), (1, 16, ("max_completion_tokens",)), (5000, 1000, ("max_completion_tokens",))],
)
def test_the_limit_is_within_what_is_taken(wanted: int, sent: int, dropped: tuple[str, ...]) -> None:
    body, lost = settings(ModelFacts(openai=True, output_tokens=1000), output_tokens=wanted)
    assert (body["max_output_tokens"], lost) == (sent, dropped)


def test_what_the_api_lacks_is_told() -> None:
    every = SamplingSettings(0.5, 0.9, 4, 7, 0.1, 0.2, {"1": 1})
    body, dropped = settings(sampling=every, stop=["."], store=True)
    assert (body["temperature"], body["top_p"]) == (0.5, 0.9)
    assert set(dropped) == {"top_k", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "stop", "store"}


def test_a_model_that_reasons_takes_sampling_with_no_effort_only() -> None:
    facts = ModelFacts(openai=True, sampling=False, sampling_at_none=True)
    assert sampling(facts, temperature=0.5, top_p=0.5)[1] == ("temperature", "top_p")
    body, dropped = settings(
        facts, sampling=SamplingSettings(temperature=0.5), thinking=ThinkingSettings(effort="none")
    )
    assert (body["temperature"], body["reasoning"], dropped) == (0.5, {"effort": "none"}, ())


def test_log_probabilities_are_included() -> None:
    body, dropped = sampling(OTHER, logprobs=True, top_logprobs=3)
    assert (body["include"], body["top_logprobs"], dropped) == (["message.output_text.logprobs"], 3, ())
    refusing = ModelFacts(openai=True, sampling=False)
    assert sampling(refusing, logprobs=True)[1] == ("logprobs",)
    assert sampling(refusing, logprobs=True, top_logprobs=3)[1] == ("logprobs", "top_logprobs")


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({}, None),
        ({"effort": "high"}, {"effort": "high"}),
        ({"effort": "max"}, {"effort": "high"}),
        ({"mode": "off"}, {"effort": "none"}),
        ({"mode": "on", "budget": 1024}, {"effort": "low", "summary": "auto"}),
        ({"mode": "adaptive"}, {"summary": "auto"}),
        ({"mode": "adaptive", "shown": "omitted"}, None),
        ({"effort": "low", "shown": "summary"}, {"effort": "low", "summary": "auto"}),
    ],
)
def test_thinking(thinking: Any, expected: Any) -> None:
    assert reasoning(**thinking) == expected


def test_a_model_that_does_not_reason_is_asked_for_no_summary() -> None:
    assert reasoning(ModelFacts(openai=True, efforts=()), mode="adaptive", shown="summary") is None


def test_the_form_of_the_text() -> None:
    schema = {"type": "object"}
    body, dropped = settings(output_format=JsonFormat(schema, "my form", strict=True), verbosity="low")
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "my_form", "schema": schema, "strict": True},
        "verbosity": "low",
    }
    assert dropped == ()
    assert settings(output_format=JsonFormat())[0]["text"] == {"format": {"type": "json_object"}}
    assert settings(output_format=JsonFormat(name="x"))[1] == ("response_format",)
    with pytest.raises(Untranslatable):
        settings(ModelFacts(structured=False), output_format=JsonFormat(schema))


def test_what_only_openai_has_is_sent_to_it_alone() -> None:
    members: Any = {"verbosity": "low", "service_tier": "flex", "cache_key": "k", "tags": {"a": "b"}, "end_user": "ann"}
    body, dropped = settings(**members)
    assert dropped == ()
    assert (body["service_tier"], body["prompt_cache_key"], body["metadata"]) == ("flex", "k", {"a": "b"})
    assert body["safety_identifier"] == "ann"
    body, dropped = settings(OTHER, **members)
    assert body == {"user": "ann", "store": False}
    assert set(dropped) == {"verbosity", "service_tier", "prompt_cache_key", "metadata"}


def test_a_long_name_of_a_user_is_hashed() -> None:
    assert len(settings(end_user="x" * 150)[0]["safety_identifier"]) == 64


def test_a_long_cache_key_is_hashed() -> None:
    """Agents make one of several ids, and OpenAI refuses more than 64 characters."""
    keys = [settings(cache_key="thread-" + end * 60)[0]["prompt_cache_key"] for end in "aab"]
    assert keys[0] == keys[1] != keys[2]
    assert max(map(len, keys)) == 64
    assert settings(cache_key="k" * 64)[0]["prompt_cache_key"] == "k" * 64


def test_unknown_tiers_and_wrong_metadata_are_told() -> None:
    assert settings(service_tier="unheard_of", tags={"a": 1})[1] == ("service_tier", "metadata")
    assert settings(OTHER, service_tier="auto") == ({"store": False}, ())


def test_the_end_of_the_prompt_is_marked_where_the_model_can() -> None:
    marked = ModelFacts(openai=True, cache_marks="breakpoint")
    assert settings(marked, cache=CacheMark("30m"))[0]["prompt_cache_options"] == {"mode": "implicit", "ttl": "30m"}
    assert settings(cache=CacheMark())[1] == ("prompt_cache_options",)


def test_more_of_the_answer_is_told_unless_the_answer_has_it() -> None:
    more = frozenset({"reasoning.encrypted_content", "web_search_call.action.sources"})
    assert settings(include=more)[1] == ("include[web_search_call.action.sources]",)
