"""Members of streams and whole answers."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage

from proxy.dialects.openai.chat.client.completion_members import finish_members, usage_members
from proxy.dialects.openai.schema import WireUsage
from proxy.dialects.openai.usage import usage_of
from proxy.dialects.translation.parts import Finish, FinishReason
from proxy.dialects.usage import Usage, UsageDetails
from tests.dialects.openai.chat.answers import context

COUNT = st.integers(0, 1000)


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("stop", {"finish_reason": "stop"}),
        ("stop_sequence", {"finish_reason": "stop"}),
        ("length", {"finish_reason": "length"}),
        ("tool_calls", {"finish_reason": "tool_calls"}),
        ("content_filter", {"finish_reason": "content_filter"}),
        ("refusal", {"finish_reason": "content_filter", "native_finish_reason": "refusal"}),
        ("pause", {"finish_reason": "stop", "native_finish_reason": "pause"}),
        ("context", {"finish_reason": "length", "native_finish_reason": "context"}),
    ],
)
def test_each_reason_has_one_that_clients_know(reason: FinishReason, found: dict[str, str]) -> None:
    assert finish_members(context(), Finish(reason)) == found


def test_the_stop_sequence_is_named() -> None:
    assert finish_members(context(), Finish("stop_sequence", "END"))["stop_reason"] == "END"


@given(
    st.builds(
        Usage,
        COUNT,
        COUNT,
        COUNT,
        COUNT,
        st.builds(UsageDetails, COUNT, st.none(), COUNT, COUNT, COUNT, COUNT),
    )
)
def test_no_class_of_usage_is_lost(usage: Usage) -> None:
    wire = msgspec.convert(usage_members(usage), WireUsage)
    found = usage_of(wire)
    assert found is not None
    assert (found.total_input, found.total_output) == (usage.total_input, usage.total_output)
    assert (found.cache_read, found.reasoning) == (usage.cache_read, usage.reasoning)
    details = usage.details
    assert isinstance(details, UsageDetails)
    if isinstance(found.details, UsageDetails):
        assert found.details == details
        assert found.input == usage.input
    else:
        assert details == UsageDetails(0, None, 0, 0, 0, 0)


def test_tokens_written_for_an_hour_are_written() -> None:
    usage = Usage(1, 2, 3, None, UsageDetails(cache_write=4, cache_write_1h=5))
    assert usage_members(usage)["prompt_tokens_details"] == {"cached_tokens": 2, "cache_write_tokens": 9}
    assert usage_members(usage)["prompt_tokens"] == 12


@pytest.mark.parametrize("usage", [Usage(), Usage(1), Usage(None, 3), Usage(output=2, reasoning=1)])
def test_clients_get_all_counts_that_they_require(usage: Usage) -> None:
    found = CompletionUsage.model_validate(usage_members(usage))
    assert found.total_tokens == found.prompt_tokens + found.completion_tokens
