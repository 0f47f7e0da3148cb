from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.schema import MessageUsage
from proxy.dialects.anthropic.usage import event_counts, find, find_wire, merged, message_counts, usage_of
from proxy.dialects.usage import Usage, UsageDetails


def wire(**members: Any) -> MessageUsage:
    return msgspec.convert(members, MessageUsage)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"input_tokens": 9, "output_tokens": 2}, Usage(9, None, 2, None)),
        ({"input_tokens": 9, "cache_read_input_tokens": 5, "output_tokens": 2}, Usage(9, 5, 2, None)),
        ({"input_tokens": 9, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}, Usage(9, 0, None, None)),
        (
            {"input_tokens": 9, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 3}},
            Usage(9, None, 2, 3),
        ),
        (
            {"input_tokens": 9, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 6}},
            Usage(9, None, 5, 6),
        ),
        ({"output_tokens": 5}, Usage(None, None, 5, None)),
        (
            {"input_tokens": 9, "cache_creation_input_tokens": 7, "output_tokens": 2},
            Usage(9, None, 2, None, UsageDetails(cache_write=7)),
        ),
        (
            {"input_tokens": 1, "cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 3}},
            Usage(1, None, None, None, UsageDetails(cache_write=4, cache_write_1h=3)),
        ),
        (
            {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3}},
            Usage(1, None, None, None, UsageDetails(cache_write=4, cache_write_1h=3)),
        ),
        (
            {"input_tokens": 1, "cache_creation_input_tokens": 2, "cache_creation": {"ephemeral_1h_input_tokens": 3}},
            Usage(1, None, None, None, UsageDetails(cache_write=2)),
        ),
        ({}, None),
        ({"cache_read_input_tokens": 5}, None),
    ],
)
def test_the_classes_are_disjoint(members: dict[str, Any], expected: Usage | None) -> None:
    assert usage_of(wire(**members)) == expected


def test_the_last_event_counts_all_that_was_used() -> None:
    split = {"ephemeral_5m_input_tokens": 3068, "ephemeral_1h_input_tokens": 10}
    start = wire(input_tokens=2, cache_creation_input_tokens=3078, cache_creation=split, output_tokens=69)
    last = wire(input_tokens=6, cache_creation_input_tokens=3347, cache_read_input_tokens=6289, output_tokens=198)
    found = usage_of(merged(start, last))
    assert found == Usage(6, 6289, 198, None, UsageDetails(cache_write=3337, cache_write_1h=10))
    assert (found.total_input, found.total_output) == (6 + 6289 + 3347, 198)


def test_an_event_without_input_counts_keeps_those_of_the_start() -> None:
    start = wire(input_tokens=25, cache_read_input_tokens=7, output_tokens=1)
    assert usage_of(merged(start, wire(output_tokens=27))) == Usage(25, 7, 27, None)
    assert usage_of(merged(start, wire(input_tokens=0, cache_read_input_tokens=0, output_tokens=27))) == Usage(
        25, 7, 27, None
    )
    assert usage_of(merged(None, start)) == Usage(25, 7, 1, None)
    assert usage_of(merged(wire(output_tokens=1), wire(input_tokens=0, output_tokens=0))) == Usage(0, None, 0, None)


COMPACTION = {
    "type": "compaction", "input_tokens": 60385, "output_tokens": 522, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3,
    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
}  # fmt: skip
TURN = {"type": "message", "input_tokens": 612, "output_tokens": 2819}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        # A compaction is billed and not in the totals; the turns of a tool's loop are in them.
        ({"iterations": [COMPACTION, TURN]}, Usage(60997, 7, 3341, None, UsageDetails(cache_write=1, cache_write_1h=2))),
        ({"iterations": [TURN, TURN]}, Usage(612, None, 2819)),
        ({"iterations": [TURN, {"type": "advisor_message", "model": "x", "input_tokens": 9}]}, Usage(612, None, 2819, None, UsageDetails(other_models=True))),
        ({"iterations": [{"type": "fallback_message", "model": "x"}]}, Usage(612, None, 2819, None, UsageDetails(other_models=True))),
        ({"iterations": [5, {"type": "compaction", "input_tokens": "9"}, {"type": []}]}, Usage(612, None, 2819)),
        ({"iterations": "none"}, Usage(612, None, 2819)),
        ({"server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 4}}, Usage(612, None, 2819)),
        ({"server_tool_use": {"web_search_requests": 2}}, Usage(612, None, 2819, None, UsageDetails(web_searches=2))),
        ({"server_tool_use": [2]}, Usage(612, None, 2819)),
        ({"service_tier": "standard", "speed": "standard"}, Usage(612, None, 2819)),
        ({"service_tier": "priority", "speed": None}, Usage(612, None, 2819, None, UsageDetails(service_tier="priority"))),
        ({"service_tier": "standard", "speed": "fast"}, Usage(612, None, 2819, None, UsageDetails(service_tier="fast"))),
        ({"inference_geo": "us"}, Usage(612, None, 2819, None, UsageDetails(service_tier="us"))),
        ({"inference_geo": "us", "service_tier": "batch"}, Usage(612, None, 2819, None, UsageDetails(service_tier="batch"))),
        ({"inference_geo": "global"}, Usage(612, None, 2819)),
        ({"inference_geo": "not_available"}, Usage(612, None, 2819)),
        # OpenRouter's endpoint for messages
        ({"cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": 1.5}}, Usage(612, None, 2819, None, UsageDetails(reported_cost=2 * 10**9))),
    ],
)  # fmt: skip
def test_what_else_is_billed_is_read(members: dict[str, Any], expected: Usage) -> None:
    assert usage_of(wire(input_tokens=612, output_tokens=2819, **members)) == expected


def test_both_ends_of_a_stream_say_what_is_billed() -> None:
    start = wire(input_tokens=612, output_tokens=1, service_tier="batch", speed="standard")
    last = wire(output_tokens=2819, server_tool_use={"web_search_requests": 1}, iterations=[COMPACTION], cost=0.25)
    details = UsageDetails(
        cache_write=1, cache_write_1h=2, web_searches=1, service_tier="batch", reported_cost=250_000_000
    )
    assert usage_of(merged(start, last)) == Usage(60997, 7, 3341, None, details)
    assert usage_of(merged(last, start)) == Usage(60997, 7, 523, None, details)


@pytest.mark.parametrize(
    "holder",
    [
        None,
        [],
        {},
        {"usage": None},
        {"usage": []},
        {"usage": {"input_tokens": "9"}},
        {"usage": {"input_tokens": "\ud83d"}},
    ],
)
def test_no_usage_is_found_in_other_shapes(holder: Any) -> None:
    assert (find(holder), find_wire(holder)) == (None, None)


counts = st.none() | st.integers(0, 1000)


@given(counts, counts, counts, st.none() | st.fixed_dictionaries({"ephemeral_1h_input_tokens": counts}), counts, counts)
def test_no_token_is_lost_or_counted_twice(
    input_: int | None,
    read: int | None,
    written: int | None,
    split: dict[str, Any] | None,
    output: int | None,
    thinking: int | None,
) -> None:
    members = {"input_tokens": input_, "cache_read_input_tokens": read, "cache_creation_input_tokens": written}
    details = None if thinking is None else {"thinking_tokens": thinking}
    found = find(
        {"usage": members | {"cache_creation": split, "output_tokens": output, "output_tokens_details": details}}
    )
    if found is None:
        assert (input_, output) == (None, None)
        return
    if input_ is not None and (written is not None or split is None):
        assert found.total_input == input_ + (read or 0) + (written or 0)
    if output is not None and (thinking or 0) <= output:
        assert found.total_output == output


@given(counts, counts, counts, counts, counts, counts)
def test_what_is_written_is_read_again(
    input_: int | None, cached: int | None, output: int | None, thinking: int | None, written: int, hour: int
) -> None:
    details = UsageDetails(cache_write=written or None, cache_write_1h=hour or None)
    found = find({"usage": message_counts(Usage(input_, cached, output, thinking, details), 7)})
    known = Usage(7 if input_ is None else input_, None if input_ is None else cached, output or 0, thinking, details)
    assert found is not None
    assert found.total_output == known.total_output
    if input_ is not None:
        assert found.total_input == known.total_input


def test_sound_and_images_are_input() -> None:
    usage = Usage(1, 2, 3, 4, UsageDetails(cache_write=5, audio_input=6, image_input=7, audio_output=8))
    assert event_counts(usage) == {
        "input_tokens": 14,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 2,
        "output_tokens": 15,
        "output_tokens_details": {"thinking_tokens": 4},
    }


def test_counts_that_are_not_known_are_left_out_but_for_the_output() -> None:
    assert event_counts(None) == event_counts(Usage()) == {"output_tokens": 0}
    assert message_counts(None, 7)["input_tokens"] == 7
