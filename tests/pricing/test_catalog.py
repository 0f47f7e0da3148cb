"""The shipped catalog: hand-computed costs with the numbers of the providers' pages, and names that must not be mixed up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.config.price_document import read_prices
from proxy.dialects.usage import Usage, UsageDetails
from proxy.pricing.catalog import SHIPPED, PriceCatalog, shipped
from proxy.pricing.rates import NANO
from proxy.pricing.rating import rate
from proxy.pricing.sheet import PriceSheet

ANTHROPIC, OPENAI, GOOGLE = (
    "https://api.anthropic.com/v1",
    "https://api.openai.com/v1",
    "https://generativelanguage.googleapis.com/v1beta",
)
XAI, GROQ, DEEPSEEK, MISTRAL = (
    "https://api.x.ai/v1",
    "https://api.groq.com/openai/v1",
    "https://api.deepseek.com",
    "https://api.mistral.ai/v1",
)
OPENROUTER, BEDROCK, VERTEX = (
    "https://openrouter.ai/api/v1",
    "https://bedrock-runtime.us-east-1.amazonaws.com",
    "https://aiplatform.googleapis.com/v1",
)
VERTEX_REGION = "https://europe-west1-aiplatform.googleapis.com/v1"
AZURE = "https://me.openai.azure.com/openai/v1"

NIGHT = datetime(2026, 11, 30, 23, tzinfo=UTC).timestamp()
MORNING = datetime(2026, 11, 30, 2, tzinfo=UTC).timestamp()


def sheet(base_url: str, model: str) -> PriceSheet:
    found = shipped().sheet(base_url, model)
    assert found is not None, model
    return found


def cost(base_url: str, model: str, usage: Usage, at: float = NIGHT) -> float:
    """In USD."""
    found = rate(sheet(base_url, model), usage, at)
    assert found.nano is not None
    assert (found.source, found.version) == ("catalog", shipped().version)
    return found.nano / NANO


def details(**members: Any) -> UsageDetails:
    return UsageDetails(**members)


M = 1_000_000


@pytest.mark.parametrize(
    ("base_url", "model", "usage", "usd"),
    [
        # https://platform.claude.com/docs/en/docs/about-claude/pricing: Claude Opus 4.6 costs 5 for input, 6.25 for a cache
        # of 5 minutes, 10 for one of an hour, 0.50 for a hit, 25 for output; a search costs 0.01.
        (ANTHROPIC, "claude-opus-4-5-20251101", Usage(1000, 20_000, 300, 200, details(cache_write=4000, cache_write_1h=500)),
         (1000 * 5 + 20_000 * 0.5 + 500 * 25 + 4000 * 6.25 + 500 * 10) / M),
        (ANTHROPIC, "claude-haiku-4-5", Usage(M, None, M), 6.0),
        (ANTHROPIC, "claude-haiku-4-5", Usage(0, None, 0, None, details(web_searches=3)), 0.03),
        (ANTHROPIC, "claude-haiku-4-5", Usage(M, None, M, None, details(service_tier="batch")), 3.0),
        (ANTHROPIC, "claude-opus-4-6", Usage(1000, 1000, 1000, None, details(service_tier="us")), (5 + 0.5 + 25) * 1.1 / 1000),
        (ANTHROPIC, "claude-sonnet-4-5", Usage(150_000, 50_000, 1000), (150_000 * 3 + 50_000 * 0.3 + 1000 * 15) / M),
        (ANTHROPIC, "claude-3-5-haiku-latest", Usage(M, M, 0), 0.88),
        # https://platform.openai.com/docs/pricing: gpt-4o 2.50, 1.25, 10; gpt-4o-audio-preview 40 and 80 for sound; o3 2, 0.50, 8
        (OPENAI, "gpt-4o", Usage(1000, 500, 100), (1000 * 2.5 + 500 * 1.25 + 100 * 10) / M),
        (OPENAI, "gpt-4o-2024-05-13", Usage(M, None, M), 20.0),
        (OPENAI, "gpt-4o-mini", Usage(M, M, M), 0.15 + 0.075 + 0.6),
        (OPENAI, "o3", Usage(100, None, 10, 90), (100 * 2 + 100 * 8) / M),
        (OPENAI, "o3", Usage(M, None, M, None, details(service_tier="flex")), 5.0),
        (OPENAI, "o3", Usage(M, None, M, None, details(service_tier="priority")), 17.5),
        (OPENAI, "gpt-audio", Usage(1000, None, 100, None, details(audio_input=2000, audio_output=300)),
         (1000 * 2.5 + 2000 * 32 + 100 * 10 + 300 * 64) / M),
        (OPENAI, "whisper-1", Usage(details=details(audio_ms=90_000)), 0.009),  # 0.006 a minute
        (OPENAI, "gpt-4o-transcribe", Usage(10, None, 101, None, details(audio_input=400)), (10 * 2.5 + 400 * 6 + 101 * 10) / M),
        (OPENAI, "gpt-image-1", Usage(50, None, 0, None, details(image_input=323, image_output=4160, images=1)), (50 * 5 + 323 * 10 + 4160 * 40) / M),
        (OPENAI, "text-embedding-3-small", Usage(M), 0.02),
        # https://ai.google.dev/gemini-api/docs/pricing: gemini-2.5-pro 1.25 and 10, above 200,000 tokens 2.50 and 15
        (GOOGLE, "gemini-2.5-pro", Usage(200_000, None, 800, 200), (200_000 * 1.25 + 1000 * 10) / M),
        (GOOGLE, "gemini-2.5-pro", Usage(150_001, 50_000, 1000), (150_001 * 2.5 + 50_000 * 0.25 + 1000 * 15) / M),
        (GOOGLE, "gemini-2.5-flash", Usage(1000, None, 100, 50, details(audio_input=5000)), (1000 * 0.3 + 5000 * 1 + 150 * 2.5) / M),
        (VERTEX, "claude-opus-4-5@20251101", Usage(M, None, M), 30.0),
        # https://cloud.google.com/vertex-ai/generative-ai/pricing: in a region 10 % above the global price, since Claude 4.5
        (VERTEX_REGION, "claude-opus-4-5@20251101", Usage(M, None, M), 33.0),
        (VERTEX_REGION, "claude-sonnet-4-5@20250929", Usage(1000, None, 1000), 0.0198),
        (VERTEX_REGION, "publishers/anthropic/models/claude-sonnet-4-6", Usage(1000, None, 1000), 0.0198),
        (VERTEX_REGION, "claude-opus-4-1@20250805", Usage(M, None, M), 90.0),
        (VERTEX_REGION, "gemini-2.5-flash", Usage(1000, None, 1000), 0.0028),
        # https://docs.x.ai/docs/models, https://groq.com/pricing, https://mistral.ai/pricing, https://openrouter.ai/models
        (XAI, "grok-4-fast", Usage(1000, None, 1000), (1000 * 0.2 + 1000 * 0.5) / M),
        (GROQ, "llama-3.3-70b-versatile", Usage(M, None, M), 0.59 + 0.79),
        (GROQ, "whisper-large-v3-turbo", Usage(details=details(audio_ms=3_600_000)), 0.04),
        (MISTRAL, "mistral-medium-2508", Usage(M, None, M), 2.4),
        (GROQ, "llama-3.1-8b-instant", Usage(M, None, M), 0.13),
        (OPENROUTER, "anthropic/claude-sonnet-4.5", Usage(1000, None, 1000), (1000 * 3 + 1000 * 15) / M),
        # https://aws.amazon.com/bedrock/pricing: in a region 10 % above the global price
        (BEDROCK, "global.anthropic.claude-sonnet-4-5-20250929-v1:0", Usage(M // 10, None, 0), 0.3),
        (BEDROCK, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", Usage(M // 10, None, 0), 0.33),
        (BEDROCK, "us.amazon.nova-pro-v1:0", Usage(M, None, M), 0.8 + 3.2),
        (AZURE, "gpt-4o", Usage(M, None, M), 12.5),
    ],
)  # fmt: skip
def test_costs_are_those_of_the_providers_pages(base_url: str, model: str, usage: Usage, usd: float) -> None:
    assert cost(base_url, model, usage) == pytest.approx(usd, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("base_url", [OPENAI, AZURE])
@pytest.mark.parametrize("model", ["gpt-4o-audio-preview", "gpt-4o-mini-audio-preview"])
def test_sound_at_openai_is_never_billed_as_text(base_url: str, model: str) -> None:
    """It costs 40 and 80 there, and 10 and 20 at the mini, which the catalog does not have."""
    found = sheet(base_url, model)
    assert rate(found, Usage(10, None, 5, None, details(audio_input=400)), NIGHT).nano is None
    assert rate(found, Usage(10, None, 5, None, details(audio_output=400)), NIGHT).nano is None
    assert rate(found, Usage(10, None, 5, None, details(audio_input=0)), NIGHT).nano is not None


def test_deepseek_costs_twice_as_much_in_the_morning() -> None:
    """https://api-docs.deepseek.com/quick_start/pricing: from 01:00 to 04:00 and from 06:00 to 10:00 UTC."""
    usage = Usage(M, M, M)
    assert cost(DEEPSEEK, "deepseek-v4-pro", usage) == pytest.approx(0.66 + 0.022 + 1.98)
    assert cost(DEEPSEEK, "deepseek-v4-pro", usage, MORNING) == pytest.approx(1.32 + 0.044 + 3.96)


# Models that begin alike and cost differently, or are not known.
DIFFERENT = [
    (ANTHROPIC, "claude-opus-4-1", "claude-opus-4-5"), (ANTHROPIC, "claude-opus-4", "claude-opus-4-6"), (ANTHROPIC, "claude-haiku-4-5", "claude-haiku-5-5"),
    (ANTHROPIC, "claude-3-haiku-20240307", "claude-3-5-haiku-20241022"), (ANTHROPIC, "claude-3-opus-20240229", "claude-3-sonnet-20240229"),
    (OPENAI, "gpt-4o", "gpt-4o-mini"), (OPENAI, "gpt-4o", "gpt-4o-2024-05-13"), (OPENAI, "gpt-4", "gpt-4-turbo"), (OPENAI, "gpt-5", "gpt-5-mini"),
    (OPENAI, "gpt-5-mini", "gpt-5-nano"), (OPENAI, "gpt-5", "gpt-5-pro"), (OPENAI, "gpt-5.1", "gpt-5.2"), (OPENAI, "o1", "o1-pro"), (OPENAI, "o3", "o3-pro"),
    (OPENAI, "o3", "o3-mini"), (OPENAI, "gpt-4.1", "gpt-4.1-mini"), (OPENAI, "gpt-4.1-mini", "gpt-4.1-nano"), (OPENAI, "gpt-6-sol", "gpt-6-luna"),
    (OPENAI, "text-embedding-3-small", "text-embedding-3-large"), (GOOGLE, "gemini-2.5-flash", "gemini-2.5-flash-lite"),
    (GOOGLE, "gemini-2.5-flash", "gemini-2.5-pro"), (GOOGLE, "gemini-2.0-flash", "gemini-2.0-flash-lite"),
    (XAI, "grok-4", "grok-4-fast"), (XAI, "grok-3", "grok-3-mini"), (BEDROCK, "amazon.nova-pro-v1:0", "amazon.nova-lite-v1:0"),
    (BEDROCK, "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0"), (BEDROCK, "anthropic.claude-opus-4-5-20251101-v1:0", "global.anthropic.claude-opus-4-5-20251101-v1:0"),
]  # fmt: skip


@pytest.mark.parametrize(("base_url", "one", "other"), DIFFERENT)
def test_models_that_begin_alike_have_their_own_prices(base_url: str, one: str, other: str) -> None:
    assert cost(base_url, one, Usage(1000)) != cost(base_url, other, Usage(1000))


UNKNOWN = [
    *[(ANTHROPIC, name) for name in ("claude-opus-4-10", "claude-opus-4-55", "claude-opus-9", "claude-sonnet-4-50", "claude-haiku", "claude", "opus", "")],
    *[(OPENAI, name) for name in ("gpt-4o-2030-01-01", "gpt-4o-maxi", "gpt-40", "gpt-4o-mini-max", "gpt-5.99", "gpt-6", "o1-micro", "o33", "claude-opus-4-5")],
    *[(GOOGLE, name) for name in ("gemini-2.5", "gemini-2.55-pro", "gemini-9-flash", "gemini-2.5-pro-max", "gpt-4o")],
    *[(OPENROUTER, name) for name in ("gpt-4o-mini-x", "anthropic/claude-sonnet-4.55", "anthropic/claude-opus-9")],
    *[(BEDROCK, name) for name in ("zz.anthropic.claude-opus-5", "anthropic.claude-opus-9-v1:0", "amazon.nova-pro-max-v1:0")],
    *[(XAI, name) for name in ("grok-4-1", "grok-44", "grok-3-maxi")],
    ("http://127.0.0.1:8000/v1", "gpt-4o"), ("https://llm.example.org/v1", "gpt-4o"), ("https://api.sambanova.ai/v1", "gpt-4o"),
]  # fmt: skip


@pytest.mark.parametrize(("base_url", "model"), UNKNOWN)
def test_other_names_have_no_price(base_url: str, model: str) -> None:
    assert shipped().sheet(base_url, model) is None


def test_no_name_of_a_model_is_priced_as_its_beginning() -> None:
    """A name with a further word or version reaches a key of its own, or none."""
    document = json.loads(SHIPPED.read_bytes())
    own = document["providers"]["openai"]
    catalog = shipped()
    for key in own:
        name = key.strip("*")
        for more in ("-x", "x", "-9", ".9", "9", "-mini-x"):
            assert name + more in own or catalog.sheet(OPENAI, name + more) is None, name + more


def test_models_with_equal_prices_share_a_sheet() -> None:
    assert sheet(OPENAI, "gpt-4o") is sheet(OPENAI, "gpt-4o-2024-08-06")
    assert repr(shipped()).startswith("<PriceCatalog genai-prices ")


def test_the_shipped_catalog_is_valid_and_names_its_license() -> None:
    document = read_prices(SHIPPED.read_bytes())
    assert "MIT License" in document.notice
    assert document.version in document.notice
    assert shipped().date == document.date
    assert len(SHIPPED.read_bytes()) < 200_000
    for rows in document.prices:
        assert not rows[0].valid_from  # in force from the beginning


def test_another_document_has_its_own_version() -> None:
    document = read_prices(
        b'{"version":"ours","date":"2026-11-29","prices":[[{"input":1,"output":2}]],"providers":{"openai":{"m*":0}}}'
    )
    found = PriceCatalog(document).sheet(OPENAI, "m-2026-01-01")
    assert found is not None
    assert rate(found, Usage(1, None, 1), 0.0).version == "ours"
    assert PriceCatalog(document).sheet(ANTHROPIC, "m") is None
