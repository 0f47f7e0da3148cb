from __future__ import annotations

from typing import Any

import pytest

from proxy.config.provider_schema import WireDialect
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.errors import ConfigError
from proxy.routing.model_facts import facts_of, prefers_responses
from tests.support.catalogs import build

OPENAI = "https://api.openai.com/v1"
AZURE = "https://res.openai.azure.com/openai/v1"
ANTHROPIC = "https://api.anthropic.com/v1"
OPENROUTER = "https://openrouter.ai/api/v1"
DEEPSEEK = "https://api.deepseek.com"
ELSEWHERE = "https://llm.example.com/v1"


def facts(name: str, address: str = ELSEWHERE, wire: WireDialect = "chat", **settings: Any) -> ModelFacts:
    """Of the model ``name`` at a provider with this address."""
    model = {"name": "m", "provider": "p", "model": name, "maxOutputTokens": 0} | settings
    (deployment,) = build([model], {"p": {"baseUrl": address, "dialects": {wire: {}}}}).deployments
    return facts_of(deployment.site.speaking[wire], wire, deployment.model, name)


def test_a_known_model_has_the_facts_of_its_version_wherever_it_runs() -> None:
    for address, name in ((ANTHROPIC, "claude-opus-4-7"), (ELSEWHERE, "us.anthropic.claude-opus-4-7")):
        found = facts(name, address, "messages")
        assert (found.thinking, found.sampling, found.structured) == ("adaptive", False, True)
    assert facts("anthropic/claude-opus-4.5", OPENROUTER).prefill


def test_clouds_take_no_late_system_messages() -> None:
    assert facts("claude-opus-4-8", ANTHROPIC, "messages").late_system
    assert not facts("claude-opus-4-8", "https://res.services.ai.azure.com/anthropic/v1", "messages").late_system


@pytest.mark.parametrize("address", [OPENAI, AZURE])
def test_openais_servers_have_their_own_limit_and_efforts(address: str) -> None:
    found = facts("gpt-5.6", address)
    assert (found.openai, found.limit_name, found.cache_marks) == (True, "max_completion_tokens", "breakpoint")
    assert found.efforts == ("none", "low", "medium", "high", "xhigh")  # ``max`` is for the Responses API
    assert found.effort_with_tools == "none"
    assert facts("gpt-5.5", address).cache_marks == "none"
    assert facts("gpt-4o", address).efforts == ()


def test_openais_models_elsewhere_have_no_such_rules() -> None:
    found = facts("gpt-5.6")
    assert (found.openai, found.limit_name, found.cache_marks) == (False, "max_tokens", "none")
    assert found.effort_with_tools == "any"
    assert facts("gpt-5.6", OPENAI, "responses").effort_with_tools == "any"
    assert facts("gpt-5.6", OPENAI, "responses").efforts == ("none", "low", "medium", "high", "xhigh", "max")


def test_a_server_has_its_own_conventions() -> None:
    router = facts("anthropic/claude-opus-4.8", OPENROUTER)
    assert (router.cache_marks, router.returned_reasoning, router.efforts) == ("cache_control", "yes", None)
    deepseek = facts("deepseek-v4-pro", DEEPSEEK)
    assert (deepseek.returned_reasoning, deepseek.toggle, deepseek.structured) == ("calls", "thinking", False)
    assert facts("deepseek-v4-pro").returned_reasoning == "yes"
    assert facts("deepseek-r1").returned_reasoning == "no"


def test_an_unknown_model_gets_nothing_that_may_be_refused() -> None:
    found = facts("llama-4-scout")
    assert (found.efforts, found.prefill, found.late_system, found.sampling) == ((), False, False, True)
    assert (found.returned_reasoning, found.limit_name, found.output_tokens) == ("no", "max_tokens", 0)
    assert not facts("my-deployment", AZURE).sampling


def test_an_unknown_version_of_claude_is_taken_for_the_newest() -> None:
    for name in ("claude-opus-7", "anthropic/claude-sonnet-6.5"):
        found = facts(name, ELSEWHERE, "messages")
        assert (found.thinking, found.sampling, found.forced_tools) == ("adaptive", False, False)


def test_what_is_only_compatible_with_anthropics_api_has_no_schemas() -> None:
    assert not facts("kimi-k3", ELSEWHERE, "messages").structured
    assert facts("kimi-k3").structured
    assert facts("claude-opus-4-8", ELSEWHERE, "messages").structured


def test_the_operators_word_counts() -> None:
    said = {
        "efforts": ["low"], "sampling": True, "lateSystem": True, "structured": False, "forcedTools": True,
        "thinking": "none", "returnedReasoning": "calls", "cacheMarks": "cache_control",
    }  # fmt: skip
    found = facts("gpt-5.6", OPENAI, capabilities=said, prefill=True, maxOutputTokens=77)
    assert (found.efforts, found.sampling, found.structured, found.forced_tools) == (("low",), True, False, True)
    assert (found.thinking, found.returned_reasoning, found.cache_marks) == ("none", "calls", "cache_control")
    assert (found.prefill, found.output_tokens, found.late_system) == (True, 77, True)
    assert found.limit_name == "max_completion_tokens"


def test_a_deployment_may_be_like_a_known_model() -> None:
    found = facts("prod-chat", AZURE, capabilities={"like": "gpt-4o", "efforts": ["high"]})
    assert (found.sampling, found.output_tokens, found.efforts) == (True, 16_384, ("high",))
    assert facts("prod-chat", AZURE, capabilities={"like": "gpt-5.6"}).cache_marks == "breakpoint"


def test_a_model_that_nobody_knows_cannot_be_an_example() -> None:
    with pytest.raises(ConfigError, match=r"^models: prod: capabilities.like: 'gpt-99' is not a known model$"):
        facts("prod", capabilities={"like": "gpt-99"})


def test_a_model_without_settings_has_facts_too() -> None:
    (site,) = build([], {"p": {"baseUrl": OPENAI}}).providers["p"].sites
    assert facts_of(site, "chat", None, "gpt-4o").output_tokens == 16_384


GOOGLE = "https://generativelanguage.googleapis.com/v1beta"
VERTEX = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1"


def test_gemini_has_the_facts_of_its_version_at_its_own_api() -> None:
    old, new = (facts(name, GOOGLE, "gemini") for name in ("gemini-2.5-pro", "gemini-3.8-flash"))
    assert (old.thinking, old.budgets, old.thought_signatures) == ("budget", (128, 32_768), False)
    assert (new.thinking, new.efforts, new.thought_signatures) == ("adaptive", ("low", "medium", "high"), True)
    assert facts("gemini-9-radon", GOOGLE, "gemini").thinking == "adaptive"
    assert facts("gemini-2.5-flash", GOOGLE, "gemini", capabilities={"like": "gemini-2.0-flash"}).thinking == "none"


def test_a_model_of_no_known_name_at_googles_api_gets_no_thinking() -> None:
    for name in ("gemma-3-27b-it", "tunedModels/mine", "endpoints/123"):
        assert facts(name, GOOGLE, "gemini").thinking == "none"


def test_several_candidates_are_for_older_models_and_for_vertex_without_streams() -> None:
    for name, at_google, at_vertex in (
        ("gemini-2.5-flash", 8, 8),
        ("gemini-3.1-pro", 1, 8),
        ("gemini-2.5-flash-image", 1, 1),
        ("gemma-3", 1, 1),
    ):
        found = facts(name, GOOGLE, "gemini")
        assert (found.candidates, found.streams_candidates) == (at_google, True)
        found = facts(name, VERTEX, "gemini")
        assert (found.candidates, found.streams_candidates) == (at_vertex, False)


def test_log_probabilities_are_for_older_models_on_vertex() -> None:
    assert "logprobs" in facts("gemini-2.5-flash", GOOGLE, "gemini").refuses
    assert "logprobs" not in facts("gemini-2.5-flash", VERTEX, "gemini").refuses
    assert "presence_penalty" in facts("gemini-2.5-flash", VERTEX, "gemini").refuses
    assert "logprobs" in facts("gemini-3.5-flash", VERTEX, "gemini").refuses


def test_only_googles_own_chat_wants_signatures() -> None:
    assert facts("google/gemini-3.8-flash", f"{GOOGLE}/openai").thought_signatures
    assert not facts("google/gemini-3.8-flash", OPENROUTER).thought_signatures


def test_who_takes_addresses_of_content() -> None:
    assert facts("claude-opus-4-8", ANTHROPIC, "messages").fetches
    assert not facts("gemini-2.0-flash", GOOGLE, "gemini").fetches
    assert facts("gemini-2.0-flash", OPENROUTER).fetches
    assert facts("gemini-2.0-flash", ELSEWHERE, "messages").fetches
    assert facts("gemini-2.0-flash", ELSEWHERE, "responses").fetches
    assert not facts("gpt-4o", capabilities={"fetches": False}).fetches
    providers = {
        "ollama": {"baseUrl": "http://127.0.0.1:11434/v1"},
        "b": {
            "kind": "bedrock",
            "baseUrl": "https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1",
            "apiKey": "k",
        },
    }
    settings = [
        {"name": "a", "provider": "ollama"},
        {"name": "c", "provider": "b", "model": "anthropic.claude-opus-4-8"},
    ]
    local, cloud = build(settings, providers).deployments
    assert not any(local.facts(path).fetches for path in ("chat/completions", "responses"))
    assert not cloud.facts("messages").fetches


@pytest.mark.parametrize("address", ["https://api.openai.com/v1", "https://x.openai.azure.com/openai/v1"])
def test_openais_servers_take_all_of_openais_members_in_responses(address: str) -> None:
    found = facts("gpt-5.6", address, "responses")
    assert (found.openai, found.cache_marks, found.effort_with_tools) == (True, "breakpoint", "any")
    assert "max" in (found.efforts or ())
    assert not facts("gpt-5.6", ELSEWHERE, "responses").openai
    assert facts("gpt-4o", address, "responses").cache_marks == "none"


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("gpt-5.4", "https://api.openai.com/v1", True),
        ("gpt-6.1-sol", "https://x.openai.azure.com/openai/v1", True),
        ("gpt-4o", "https://api.openai.com/v1", False),
        ("unheard-of", "https://api.openai.com/v1", False),
        ("gpt-5.4", "https://example.com/v1", False),
    ],
)
def test_models_that_think_beside_tools_only_there_prefer_the_responses_api(
    name: str, address: str, expected: bool
) -> None:
    known = build([], {"p": {"baseUrl": address}})
    assert prefers_responses(known.providers["p"].sites[0], None, name) is expected
