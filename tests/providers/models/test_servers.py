from __future__ import annotations

import pytest

from proxy.config.known_providers import KNOWN_PROVIDERS
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.providers.models.servers import SERVERS, server_name
from tests.providers.rows import MISTRALS


@pytest.mark.parametrize(
    ("provider", "address", "name"),
    [
        ("anything", "https://api.openai.com/v1", "openai"),
        ("openai", "https://eu.api.openai.com/v1", "openai"),
        ("openai", "https://proxy.example/v1", ""),
        ("mine", "https://res.openai.azure.com/openai/v1", "azure"),
        ("mine", "https://res.services.ai.azure.com/openai/v1", "azure"),
        (
            "mine",
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi",
            "vertex",
        ),
        ("g", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini"),
        ("router", "https://openrouter.ai/api/v1", "openrouter"),
        ("cheap", "https://api.deepseek.com/v1", "deepseek"),
        ("vllm", "http://gpu-7:8000/v1", "vllm"),
        ("gpu", "http://gpu-7:8000/v1", ""),
        ("gpu", "http://127.0.0.1:8000/v1", ""),
        ("mine", "https://api.openai.com.example/v1", ""),
        ("mine", "https://notapi.openai.com.example/v1", ""),
    ],
)
def test_a_server_is_known_by_its_host_or_by_its_usual_name(provider: str, address: str, name: str) -> None:
    assert server_name(provider, address) == name


def test_the_table_has_known_providers_and_clouds() -> None:
    assert set(SERVERS) <= {*KNOWN_PROVIDERS, "azure", "vertex"}


@pytest.mark.parametrize("name", SERVERS)
def test_each_entry_has_fields_of_facts(name: str) -> None:
    assert ModelFacts(**SERVERS[name]) != ModelFacts()


def test_mistral_gets_no_member_that_its_sdk_lacks() -> None:
    """It refuses any other. ``seed`` is renamed by a patch."""
    mistral = SERVERS["mistral"]
    assert mistral["takes"] <= MISTRALS
    settings = {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "user", "n"}
    assert mistral["refuses"] == settings - MISTRALS
