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
    [None, [], "usage", {}, {"usage": None}, {"usage": {}}, {"usage": []}, {"usage": {"type": "duration", "seconds": 3}},
     {"usage": {"prompt_tokens": "5"}}, {"usage": {"prompt_tokens": 5, "prompt_tokens_details": 5}}],
)  # fmt: skip
def test_an_object_without_counts_is_no_usage(document: Any) -> None:
    assert find(document) is None


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
    assert all(count is None or count >= 0 for count in (*astuple(usage)[:4], *astuple(details)))
    assert (usage.input is None) == (prompt is None)
    if prompt is not None and (cached or 0) <= prompt:
        assert usage.total_input == prompt
    if completion is not None and (reasoning or 0) <= completion:
        assert usage.total_output == completion
