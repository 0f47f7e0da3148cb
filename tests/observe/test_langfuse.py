"""Attributes for Langfuse alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.usage import Usage, UsageDetails
from proxy.observe.langfuse import attributes_of, is_langfuse
from tests.observe.exchanges import attempt_of, settled

DETAILS = UsageDetails(cache_write=5, cache_write_1h=6, audio_input=7, audio_output=8, image_input=9, image_output=10)


@pytest.mark.parametrize(
    ("endpoint", "found"),
    [
        ("https://cloud.langfuse.com/api/public/otel/v1/traces", True),
        ("http://langfuse.internal:3000/base/api/public/otel/v1/traces", True),
        ("http://127.0.0.1:4318/v1/traces", False),
    ],
)
def test_langfuse_is_known_by_its_path(endpoint: str, found: bool) -> None:
    assert is_langfuse(endpoint) is found


@pytest.mark.parametrize(
    ("usage", "details"),
    [
        (Usage(1, None, 3, None), {"input": 1, "output": 3}),
        (
            Usage(1, 2, 3, 4),
            {"input": 1, "input_cached_tokens": 2, "output": 3, "output_reasoning_tokens": 4},
        ),
        (
            Usage(1, None, 3, None, DETAILS),
            {
                "input": 1,
                "output": 3,
                "input_cache_creation": 5,
                "input_cache_creation_1h": 6,
                "input_audio_tokens": 7,
                "output_audio_tokens": 8,
                "input_image_tokens": 9,
                "output_image_tokens": 10,
            },
        ),
    ],
)
def test_no_token_is_in_two_classes(usage: Usage, details: dict[str, Any]) -> None:
    attributes = attributes_of(settled(usage=usage), None)
    assert json.loads(str(attributes["langfuse.observation.usage_details"])) == details
    assert attributes["langfuse.observation.type"] == "generation"


def test_the_cost_is_in_usd_and_absent_if_it_is_unknown() -> None:
    attributes = attributes_of(settled(cost=1_250_000), None)
    assert json.loads(str(attributes["langfuse.observation.cost_details"])) == {"total": 0.00125}
    assert "langfuse.observation.cost_details" not in attributes_of(settled(), None)


def test_without_usage_an_exchange_is_no_generation_and_an_attempt_never_is() -> None:
    assert attributes_of(settled(usage=None), None) == {"langfuse.observation.type": "span"}
    assert attributes_of(settled(cost=5), attempt_of(100.0, 101.0)) == {"langfuse.observation.type": "span"}
