"""Names of models and the keys that they reach, in a made-up catalog."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.known_providers import HOSTED
from proxy.pricing.vendors import VENDORS, keys, vendor_at

OWN = {
    "openai": {"gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-mini*", "o1", "gpt-5.1", "ft:gpt-4o*"},
    "anthropic": {"claude-opus-4", "claude-opus-4-1*", "claude-sonnet-4*", "claude-sonnet-4-5*"},
    "google": {"gemini-2.5-pro*", "gemini-2.0-flash", "*claude-opus-4-5*", "*gemini-2.0-flash*", "*claude-3-5-sonnet*"},
    "aws": {"global.anthropic.claude-opus-5", "us.anthropic.claude-opus-5", "*claude-3-5-haiku-20241022*", "*amazon.nova-pro*",
            "*titan-embed-text-v1*", "*titan-embed-text-v2*"},
}  # fmt: skip


def reached(vendor: str, model: str) -> str | None:
    return next((key for key in keys(vendor, model) if key in OWN[vendor]), None)


@pytest.mark.parametrize(
    ("vendor", "model", "key"),
    [
        ("openai", "gpt-4o", "gpt-4o"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai", "gpt-4o-2024-08-06", None),  # a date that the catalog does not list
        ("openai", "gpt-4o-mini", "gpt-4o-mini*"),
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini*"),
        ("openai", "gpt-4o-mini-tts", None),
        ("openai", "gpt-4o-audio-preview", None),
        ("openai", "o1-mini", None),
        ("openai", "o1-2024-12-17", None),
        ("openai", "gpt-5", None),
        ("openai", "gpt-5.10", None),
        ("openai", "gpt-5.1-codex", None),
        ("openai", "ft:gpt-4o-2024-08-06:team::abc", "ft:gpt-4o*"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:team::abc", None),
        ("anthropic", "claude-opus-4", "claude-opus-4"),
        ("anthropic", "claude-opus-4-1-20250805", "claude-opus-4-1*"),
        ("anthropic", "claude-opus-4-5", None),
        ("anthropic", "claude-opus-4-10", None),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4*"),
        ("anthropic", "claude-sonnet-4@20250514", "claude-sonnet-4*"),
        ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5*"),
        ("anthropic", "claude-sonnet-4-5-latest", "claude-sonnet-4-5*"),
        ("anthropic", "claude-sonnet-4-6", None),
        ("anthropic", "claude-sonnet-4.5", None),
        ("anthropic", "claude-sonnet-40", None),
        ("anthropic", "claude-sonnet", None),
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro*"),
        ("google", "google/gemini-2.5-pro-preview-05-06", "gemini-2.5-pro*"),
        ("google", "gemini-2.5-pro-tts", None),
        ("google", "gemini-2.0-flash", "gemini-2.0-flash"),
        ("google", "gemini-2.0-flash-001", "*gemini-2.0-flash*"),
        ("google", "gemini-2.0-flash-lite", None),
        ("google", "publishers/anthropic/models/claude-opus-4-5@20251101", "*claude-opus-4-5*"),
        ("google", "claude-3-5-sonnet-v2@20241022", "*claude-3-5-sonnet*"),
        ("aws", "global.anthropic.claude-opus-5", "global.anthropic.claude-opus-5"),
        ("aws", "us.anthropic.claude-opus-5", "us.anthropic.claude-opus-5"),
        ("aws", "jp.anthropic.claude-opus-5", None),
        ("aws", "anthropic.claude-opus-5", None),
        ("aws", "us.anthropic.claude-opus-5-5", None),
        ("aws", "eu.anthropic.claude-3-5-haiku-20241022-v1:0", "*claude-3-5-haiku-20241022*"),
        ("aws", "arn:aws:bedrock:eu-west-1:123:inference-profile/eu.amazon.nova-pro-v1:0", "*amazon.nova-pro*"),
        ("aws", "amazon.nova-premier-v1:0", None),
        ("aws", "amazon.titan-embed-text-v1", "*titan-embed-text-v1*"),
        ("aws", "amazon.titan-embed-text-v2:0", "*titan-embed-text-v2*"),
        ("aws", "amazon.titan-embed-text-v3:0", None),
    ],
)  # fmt: skip
def test_a_name_reaches_its_own_model_or_none(vendor: str, model: str, key: str | None) -> None:
    assert reached(vendor, model) == key


@given(
    st.sampled_from(sorted(OWN["anthropic"] | OWN["openai"])),
    st.from_regex(r"[-.]?[0-9]{1,3}|-[a-z]{2,7}[0-9]?", fullmatch=True),
)
def test_a_further_version_or_word_reaches_another_model_or_none(key: str, more: str) -> None:
    if more in ("-latest", "-preview", "-exp") or more[-3:] in (
        "001",
        "002",
        "003",
        "004",
        "005",
        "006",
        "007",
        "008",
        "009",
        "000",
    ):
        return
    for vendor in ("anthropic", "openai"):
        assert reached(vendor, key.strip("*") + more) != key


@given(st.sampled_from(sorted(VENDORS)), st.text(max_size=60))
def test_any_text_is_a_name(vendor: str, model: str) -> None:
    found = list(keys(vendor, model))
    assert 1 < len(found) < 100
    assert all(key.strip("*") in model.lower() for key in found)


@pytest.mark.parametrize(
    ("base_url", "vendor"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://api.openai.com.example.org/v1", ""),
        ("https://me.openai.azure.com/openai/v1", "azure"),
        ("https://me.services.ai.azure.com/anthropic/v1", "azure"),
        ("https://europe-west1-aiplatform.googleapis.com/v1", "google"),
        ("https://aiplatform.googleapis.com/v1", "google"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "aws"),
        ("https://bedrock-mantle.us-east-1.api.aws/v1", "aws"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("http://127.0.0.1:11434/v1", ""),
        ("http://[::1]", ""),
        ("", ""),
    ],
)
def test_the_address_says_whose_prices_apply(base_url: str, vendor: str) -> None:
    assert vendor_at(base_url) == vendor


def test_known_providers_have_prices_or_are_known_to_have_none() -> None:
    without = {name for name, known in HOSTED.items() if not vendor_at(known.base_url)}
    assert without == {"nvidia", "deepinfra", "sambanova", "dashscope"}
