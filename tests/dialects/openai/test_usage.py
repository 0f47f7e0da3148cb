from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from proxy.dialects.openai.usage import find
from proxy.dialects.usage import Usage, UsageDetails


@pytest.mark.parametrize(
    ("expected", "usage"),
    [
        # chat: https://platform.openai.com/docs/api-reference/chat/object
        ({"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306, "prompt_tokens_details": {"cached_tokens": 1920},
          "completion_tokens_details": {"reasoning_tokens": 100, "audio_tokens": 0}}, Usage(86, 1920, 200, 100)),
        # completions, and most local servers
        ({"prompt_tokens": 5, "completion_tokens": 7}, Usage(5, None, 7, None)),
        # embeddings
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8, None, None, None)),
        # responses: https://platform.openai.com/docs/api-reference/responses/object
        ({"input_tokens": 36, "input_tokens_details": {"cached_tokens": 6}, "output_tokens": 87,
          "output_tokens_details": {"reasoning_tokens": 0}}, Usage(30, 6, 87, 0)),
        # transcriptions
        ({"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 10, "audio_tokens": 4}, "output_tokens": 101,
          "total_tokens": 115}, Usage(10, None, 101, details=UsageDetails(audio_input=4))),
        # images: https://platform.openai.com/docs/api-reference/images/object
        ({"input_tokens": 1020, "input_tokens_details": {"image_tokens": 1000, "text_tokens": 20}, "output_tokens": 5000,
          "output_tokens_details": {"image_tokens": 4990, "text_tokens": 10}},
         Usage(20, None, 10, details=UsageDetails(image_input=1000, image_output=4990))),
        # written to a cache (gpt-5.6 and later), and sound both ways
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 40, "audio_tokens": 20},
          "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 25}},
         Usage(10, 30, 20, 5, UsageDetails(cache_write=40, audio_input=20, audio_output=25))),
        # written to a cache for twelve hours
        ({"input_tokens": 100, "input_tokens_details": {"cache_write_tokens": 40, "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 30}},
          "output_tokens": 5}, Usage(60, None, 5, None, UsageDetails(cache_write=10, cache_write_1h=30))),
        ({"input_tokens": 100, "input_tokens_details": {"cache_write_tokens": 40, "cache_write_tokens_details": {"ttl_12h_tokens": "x"}}},
         Usage(60, None, None, None, UsageDetails(cache_write=40))),
        # sound that was read from the cache is not counted again
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 50}},
         Usage(20, 80, details=UsageDetails())),
        # reasoning beside the completion tokens, not within them
        ({"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 900}}, Usage(5, None, 7, 900)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, None, 0, None)),
        ({"prompt_tokens": 5, "prompt_tokens_details": None, "completion_tokens_details": {}}, Usage(5, None, None, None)),
    ],
)  # fmt: skip
def test_counts_are_disjoint_and_unknown_ones_are_none(expected: dict[str, Any], usage: Usage) -> None:
    assert find({"usage": expected}) == usage


@pytest.mark.parametrize(
    "document",
    [None, [], "usage", {}, {"usage": None}, {"usage": {}}, {"usage": []}, {"usage": {"type": "duration", "seconds": "3"}}, {"usage": {"seconds": -1}},
     {"usage": {"prompt_tokens": "5"}}, {"usage": {"prompt_tokens": "\ud83d"}}, {"usage": {"prompt_tokens": 5, "prompt_tokens_details": 5}}],
)  # fmt: skip
def test_an_object_without_counts_is_no_usage(document: Any) -> None:
    assert find(document) is None


USED: Any = {"prompt_tokens": 5, "completion_tokens": 7}


@pytest.mark.parametrize(
    ("members", "nano"),
    [
        # https://openrouter.ai/docs/use-cases/usage-accounting: recorded answers, and the page's own example
        ({"cost": 0.05517, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}, 55_170_000),
        ({"cost": 0.001156, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.001156}}, 1_156_000),
        ({"cost": 0.95, "is_byok": True, "cost_details": {"upstream_inference_cost": 19}}, 19_950_000_000),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.25}}, 250_000_000),
        ({"cost": 0, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}, 0),
        # https://docs.x.ai/developers/cost-tracking
        ({"cost_in_usd_ticks": 37_756_000}, 3_775_600),
        ({"cost_in_usd_ticks": 1_466_255}, 146_626),
        # Perplexity
        ({"cost": {"input_tokens_cost": 0.00001, "output_tokens_cost": 0.0, "request_cost": 0.005, "total_cost": 0.00501}}, 5_010_000),
        # https://deepinfra.com/docs/openai_api
        ({"estimated_cost": 0.0000315}, 31_500),
    ],
)  # fmt: skip
def test_costs_are_read_where_providers_put_them(members: dict[str, Any], nano: int) -> None:
    assert find({"usage": USED | members}) == Usage(5, None, 7, None, UsageDetails(reported_cost=nano))


@pytest.mark.parametrize(
    "members",
    [{"cost": "0.1"}, {"cost": True}, {"cost": -1}, {"cost": 1e300}, {"cost": None}, {"cost": {}}, {"cost": []}, {"cost_in_usd_ticks": 0.5},
     {"cost": 1, "is_byok": True}, {"cost": 1, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, {"cost_in_usd_ticks": -1},
     {"cost": 1, "is_byok": True, "cost_details": 5}, {"cost": float("nan")}, {"estimated_cost": float("inf")}],
)  # fmt: skip
def test_costs_without_a_sensible_amount_are_ignored(members: dict[str, Any]) -> None:
    assert find({"usage": USED | members}) == Usage(5, None, 7)


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("flex", "flex"),
        ("PRIORITY", "priority"),
        ("default", ""),
        ("auto", ""),
        ("on_demand", ""),
        (None, ""),
        (5, ""),
        ("x" * 65, ""),
    ],
)
def test_only_a_service_tier_with_its_own_prices_makes_details(tier: Any, expected: str) -> None:
    usage = find({"usage": USED, "service_tier": tier})
    assert usage == (Usage(5, None, 7, None, UsageDetails(service_tier=expected)) if expected else Usage(5, None, 7))


def test_an_answer_may_have_a_duration_or_a_cost_only() -> None:
    assert find({"usage": {"type": "duration", "seconds": 8.5}}) == Usage(details=UsageDetails(audio_ms=8500))
    assert find({"usage": {"cost_in_usd_ticks": 400_000_000}}) == Usage(details=UsageDetails(reported_cost=40_000_000))


counts = st.none() | st.integers(0, 10**6)


@given(*[counts] * 9)
def test_no_count_is_negative_and_no_token_is_counted_twice(
    prompt: int | None, cached: int | None, written: int | None, heard: int | None, seen: int | None,
    completion: int | None, reasoning: int | None, spoken: int | None, drawn: int | None,
) -> None:  # fmt: skip
    reported = {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {
            "cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": heard, "image_tokens": seen
        },
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken, "image_tokens": drawn},
    }  # fmt: skip
    usage = find({"usage": reported})
    if usage is None:
        assert prompt is None
        assert completion is None
        return
    details = usage.details or UsageDetails()
    assert all(count is None or count >= 0 for count in (*astuple(usage)[:4], *astuple(details)[:6]))
    assert (usage.input is None) == (prompt is None)
    if prompt is not None and (cached or 0) <= prompt:
        assert usage.total_input == prompt
    if completion is not None and (reasoning or 0) <= completion:
        assert usage.total_output == completion
