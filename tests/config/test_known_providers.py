"""Providers that need a key only, and configurations without a section of providers."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec import UNSET

from proxy.config.checks import base_url, new_provider
from proxy.config.known_providers import HOSTED, KNOWN_PROVIDERS
from proxy.config.left_out import summary
from proxy.config.loader import load
from tests.config.texts import loaded, mistakes

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "openai",
    "anthropic",
    "gemini",
    "openrouter",
    "deepseek",
    "groq",
    "mistral",
    "together",
    "fireworks",
    "xai",
    "cerebras",
    "perplexity",
    "nvidia",
    "deepinfra",
    "sambanova",
    "moonshot",
    "minimax",
    "zai",
    "dashscope",
    "ollama",
    "vllm",
    "sglang",
    "lmstudio",
    "llamacpp",
]


def test_every_known_provider_has_an_address_a_key_variable_and_a_source() -> None:
    assert list(KNOWN_PROVIDERS) == NAMES
    for name, known in KNOWN_PROVIDERS.items():
        assert new_provider(name) == name
        assert base_url(known.base_url) == known.base_url
        assert urlsplit(known.source).scheme == "https"
        assert bool(known.key_variable) is (urlsplit(known.base_url).hostname != "127.0.0.1")
    variables = [known.key_variable for known in HOSTED.values()]
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize("name", NAMES)
def test_a_known_provider_needs_a_key_only(tmp_path: Path, name: str) -> None:
    config = loaded(tmp_path, f"providers: {{{name}: {{apiKey: k}}}}").config
    assert config.providers[name].addresses == (KNOWN_PROVIDERS[name].base_url,)
    assert config.providers[name].keys == ("k",)


@pytest.mark.parametrize("section", ["", " {}", " {enabled: true}"])
def test_a_known_local_server_needs_its_name_only(tmp_path: Path, section: str) -> None:
    provider = loaded(tmp_path, f"providers:\n  ollama:{section}\n").config.providers["ollama"]
    assert (provider.base_url, provider.keyless) == ("http://127.0.0.1:11434/v1", True)


def test_a_known_provider_takes_its_key_from_its_usual_variable(tmp_path: Path) -> None:
    found = loaded(tmp_path, "providers: {groq: {}, xai: }", GROQ_API_KEY="k")
    assert {name: provider.keys for name, provider in found.config.providers.items()} == {"groq": ("k",)}
    assert found.notices == ['provider "xai" left out: its apiKey is empty (set XAI_API_KEY)']
    assert found.variables.in_force == ["GROQ_API_KEY"]


def test_a_key_from_the_environment_is_sent_to_the_known_address_only(tmp_path: Path) -> None:
    text = "providers: {openai: {baseUrl: http://other/v1}, groq: {headers: {Authorization: own}}}"
    providers = loaded(tmp_path, text, OPENAI_API_KEY="k", GROQ_API_KEY="k").config.providers
    assert providers["openai"].api_key is UNSET
    assert providers["openai"].addresses == ("http://other/v1",)
    assert providers["groq"].api_key is UNSET


def test_an_address_in_the_file_wins_over_the_known_one(tmp_path: Path) -> None:
    text = "providers: {ollama: {baseUrls: [http://gpu:11434/v1]}, vllm: {baseUrl: http://gpu:8000/v1}}"
    providers = loaded(tmp_path, text).config.providers
    assert [provider.addresses for provider in providers.values()] == [
        ("http://gpu:11434/v1",),
        ("http://gpu:8000/v1",),
    ]


@pytest.mark.parametrize("text", ["{apiKey: k}", "{}", ""])
def test_the_known_name_is_suggested_for_a_misspelled_provider(tmp_path: Path, text: str) -> None:
    for name, meant in (("opnai", "openai"), ("gorq", "groq"), ("llama.cpp", "llamacpp")):
        (line,) = mistakes(tmp_path, f"providers: {{{name}: {text}}}")
        assert line == (
            f'config.yaml: providers.{name}: unknown provider "{name}"; did you mean "{meant}"?'
            " Any other provider needs a baseUrl"
        )


@pytest.mark.parametrize("text", ["{apiKey: k}", "{}", ""])
def test_the_error_for_an_unknown_provider_lists_the_known_ones(tmp_path: Path, text: str) -> None:
    (line,) = mistakes(tmp_path, f"providers: {{house: {text}}}")
    assert line == f"config.yaml: providers.house.baseUrl: is missing (known without it: {', '.join(NAMES)})"


# -- dialects of known providers -------------------------------------------------------------------------


def spoken(tmp_path: Path, name: str, section: str) -> dict[str, str]:
    """Dialects beyond those of the kind, with their addresses; ``off`` for one that is not spoken."""
    dialects = loaded(tmp_path, f"providers: {{{name}: {section}}}").config.providers[name].dialects
    entries = {wire: getattr(dialects, wire) for wire in ("chat", "responses", "messages", "gemini")}
    return {wire: e.base_url if e.enabled else "off" for wire, e in entries.items() if e is not UNSET}


def test_a_known_provider_brings_its_dialects(tmp_path: Path) -> None:
    found = {"chat": "", "responses": "", "messages": "https://api.deepseek.com/anthropic/v1"}
    assert spoken(tmp_path, "deepseek", "{apiKey: k}") == found
    assert spoken(tmp_path, "openrouter", "{apiKey: k}") == {"messages": ""}
    assert spoken(tmp_path, "mistral", "{apiKey: k}") == {"chat": "", "responses": "off"}
    assert spoken(tmp_path, "groq", "{apiKey: k}") == {}


def test_a_configured_dialect_replaces_the_known_one(tmp_path: Path) -> None:
    section = "{apiKey: k, dialects: {messages: {baseUrl: 'http://mine/v1'}}}"
    assert spoken(tmp_path, "zai", section) == {"chat": "", "messages": "http://mine/v1", "responses": "off"}
    assert spoken(tmp_path, "openrouter", "{apiKey: k, dialects: {messages: {enabled: false}}}") == {"messages": "off"}


@pytest.mark.parametrize(
    ("name", "address", "found"),
    [
        ("zai", "https://api.z.ai/api/paas/v4", ["chat", "messages", "responses"]),
        ("zai", "https://api.z.ai/api/v1", ["chat", "messages"]),  # the coding plan has responses
        ("zai", "https://proxy.example/v1", []),  # what stands there is not known
        ("openrouter", "https://openrouter.ai/elsewhere", []),
        ("ollama", "http://gpu:11434/v1", ["messages"]),
    ],
)
def test_another_address_has_only_the_dialects_that_are_known_there(
    tmp_path: Path, name: str, address: str, found: list[str]
) -> None:
    assert sorted(spoken(tmp_path, name, f"{{apiKey: k, baseUrl: '{address}'}}")) == found


def patched(tmp_path: Path, name: str, section: str) -> dict[str, list[str]]:
    dialects = loaded(tmp_path, f"providers: {{{name}: {section}}}").config.providers[name].dialects
    entries = {wire: getattr(dialects, wire) for wire in ("chat", "responses", "messages", "gemini")}
    return {wire: e.patches for wire, e in entries.items() if e is not UNSET and e.patches is not UNSET}


def test_a_known_provider_brings_its_patches(tmp_path: Path) -> None:
    expected = {"chat": ["developer-as-system", "reasoning-with-calls"], "responses": ["developer-as-system"]}
    assert patched(tmp_path, "deepseek", "{apiKey: k}") == expected
    assert patched(tmp_path, "openai", "{apiKey: k}") == {}
    beta = "{apiKey: k, baseUrl: 'https://api.deepseek.com/beta'}"
    assert patched(tmp_path, "deepseek", beta) == expected
    assert patched(tmp_path, "deepseek", "{apiKey: k, baseUrl: 'https://proxy.example/v1'}") == {}


def test_configured_patches_replace_the_known_ones(tmp_path: Path) -> None:
    section = "{apiKey: k, dialects: {chat: {patches: [max-tokens]}, responses: {patches: []}}}"
    assert patched(tmp_path, "deepseek", section) == {"chat": ["max-tokens"], "responses": []}


def test_a_dialects_address_is_for_a_provider_with_one_address(tmp_path: Path) -> None:
    section = "{apiKey: k, baseUrls: [http://a/v1, http://b/v1], dialects: {messages: {baseUrl: http://c/v1/messages}}}"
    assert mistakes(tmp_path, f"providers: {{mine: {section}}}") == [
        "config.yaml: providers.mine.dialects.messages.baseUrl: ends with /messages, which the gateway appends; write"
        " http://c/v1",
        "config.yaml: providers.mine.dialects.messages.baseUrl: is one address, but the provider has 2; write one"
        " provider for each address",
    ]


# -- models of known providers that are not configured ---------------------------------------------------


def test_models_of_an_unknown_provider_stay_a_mistake(tmp_path: Path) -> None:
    text = "providers: {ollama: }\nmodels: [{name: a, provider: opnrouter}, {name: b, provider: groq}]\n"
    assert mistakes(tmp_path, text) == [
        'config.yaml: models[0].provider: no provider "opnrouter"; did you mean "openrouter"?'
    ]


# -- without a section of providers ---------------------------------------------------------------------


def test_without_any_file_the_usual_variables_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(None, {"OPENAI_API_KEY": "k1", "GROQ_API_KEY": "k2", "XAI_API_KEY": "", "MISTRAL_API_KEY": " "})
    assert (found.path, found.notices) == (None, [])
    assert {name: (p.base_url, p.keys) for name, p in found.config.providers.items()} == {
        "openai": ("https://api.openai.com/v1", ("k1",)),
        "groq": ("https://api.groq.com/openai/v1", ("k2",)),
    }
    assert found.variables.in_force == ["OPENAI_API_KEY", "GROQ_API_KEY"]


def test_a_file_without_providers_takes_them_from_the_environment(tmp_path: Path) -> None:
    text = """\
providers:
models: [{name: a, provider: openai}, {name: b, provider: groq}]
routing: {fallback: {provider: groq, model: b}}
"""
    found = loaded(tmp_path, text, OPENAI_API_KEY="k")
    assert (list(found.config.providers), [model.name for model in found.config.models]) == (["openai"], ["a"])
    assert found.notices == ['routing.fallback left out: provider "groq" has no key (set GROQ_API_KEY)']
    assert summary(found.left_out) == [
        f"{tmp_path}/config.yaml: 1 model of groq left out: it has no key (set GROQ_API_KEY)"
    ]


def test_an_empty_section_of_providers_has_none(tmp_path: Path) -> None:
    assert loaded(tmp_path, "providers: {}", OPENAI_API_KEY="k").config.providers == {}


def test_placeholder_keys_configure_no_provider(tmp_path: Path) -> None:
    found = loaded(tmp_path, "{}", OPENAI_API_KEY="your_openai_api_key_here")
    assert found.config.providers == {}
    assert found.variables.placeholders == ["OPENAI_API_KEY"]


def test_a_mistake_in_a_key_from_the_environment_names_the_variable(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "{}", OPENAI_API_KEY="k\u00e9y") == [
        "environment: OPENAI_API_KEY: a key must be printable ASCII text on one line"
    ]
