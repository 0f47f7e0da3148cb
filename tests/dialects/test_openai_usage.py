from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai_usage import Usage, find


@pytest.mark.parametrize(
    ("told", "usage"),
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
          "total_tokens": 115}, Usage(14, None, 101, None)),
        # reasoning beside the completion tokens, not within them
        ({"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 900}}, Usage(5, None, 7, 900)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, None, 0, None)),
        ({"prompt_tokens": 5, "prompt_tokens_details": None, "completion_tokens_details": {}}, Usage(5, None, None, None)),
    ],
)  # fmt: skip
def test_counts_are_disjoint_and_unknown_ones_are_none(told: dict[str, Any], usage: Usage) -> None:
    assert find({"usage": told}) == usage


@pytest.mark.parametrize(
    "document",
    [None, [], "usage", {}, {"usage": None}, {"usage": {}}, {"usage": []}, {"usage": {"type": "duration", "seconds": 3}},
     {"usage": {"prompt_tokens": "5"}}, {"usage": {"prompt_tokens": 5, "prompt_tokens_details": 5}}],
)  # fmt: skip
def test_what_tells_no_count_is_no_usage(document: Any) -> None:
    assert find(document) is None


counts = st.none() | st.integers(0, 10**6)


@given(counts, counts, counts, counts)
def test_no_count_is_negative_and_cached_and_reasoning_are_not_counted_twice(
    prompt: int | None, cached: int | None, completion: int | None, reasoning: int | None
) -> None:
    told = {"prompt_tokens": prompt, "completion_tokens": completion, "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning}}  # fmt: skip
    usage = find({"usage": told})
    if usage is None:
        assert prompt is None
        assert completion is None
        return
    assert all(count is None or count >= 0 for count in (usage.input, usage.cached, usage.output, usage.reasoning))
    assert (usage.input is None) == (prompt is None)
    if prompt is not None and (cached or 0) <= prompt:
        assert usage.total_input == prompt
    if completion is not None and (reasoning or 0) <= completion:
        assert usage.total_output == completion
