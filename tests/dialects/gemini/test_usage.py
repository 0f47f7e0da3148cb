from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from proxy.dialects.gemini.usage import find, usage_metadata
from proxy.dialects.usage import Usage, UsageDetails


def counts(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": count} for modality, count in tokens.items()]


def usage(**members: Any) -> Usage | None:
    return find({"usageMetadata": members})


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}, Usage(9, None, 2, None)),
        ({"promptTokenCount": 9, "cachedContentTokenCount": 6, "candidatesTokenCount": 2}, Usage(3, 6, 2, None)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 16}, Usage(9, None, 2, 5)),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 15}, Usage(13, None, 2, None)),
        # Only thoughts until the limit: a count of 0 is left out.
        ({"promptTokenCount": 9, "thoughtsTokenCount": 5, "totalTokenCount": 14}, Usage(9, None, 0, 5)),
        # Thoughts that are counted among the candidates' tokens.
        ({"promptTokenCount": 9, "thoughtsTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 16}, Usage(9, None, 2, 5)),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": 1, "thoughtsTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 17}, Usage(10, None, 2, 5)),
        ({"promptTokenCount": 9, "totalTokenCount": 9}, Usage(9, None, None, None)),
        ({"thoughtsTokenCount": 5}, Usage(None, None, None, 5)),
        ({"toolUsePromptTokenCount": 4}, Usage(4, None, None, None)),
        ({"promptTokenCount": 3, "cachedContentTokenCount": 6}, Usage(3, 6, None, None)),
    ],
)  # fmt: skip
def test_tokens_are_in_disjoint_classes(members: dict[str, Any], found: Usage) -> None:
    assert usage(**members) == found


@pytest.mark.parametrize(
    ("members", "tier"),
    [
        ({"serviceTier": "flex"}, "flex"), ({"serviceTier": "SERVICE_TIER_PRIORITY"}, "priority"), ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned"), ({"serviceTier": "standard", "trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"serviceTier": "standard"}, ""), ({"trafficType": "ON_DEMAND"}, ""), ({"serviceTier": 5, "trafficType": []}, ""),
    ],
)  # fmt: skip
def test_only_a_service_tier_with_its_own_prices_makes_details(members: dict[str, Any], tier: str) -> None:
    found = usage(promptTokenCount=9, candidatesTokenCount=2, **members)
    assert found == (Usage(9, None, 2, None, UsageDetails(service_tier=tier)) if tier else Usage(9, None, 2))


def test_audio_and_images_are_classes_of_their_own() -> None:
    found = usage(
        promptTokenCount=100,
        cachedContentTokenCount=30,
        toolUsePromptTokenCount=8,
        candidatesTokenCount=50,
        promptTokensDetails=counts(TEXT=10, AUDIO=40, IMAGE=20, VIDEO=20, DOCUMENT=10),
        cacheTokensDetails=counts(AUDIO=25, TEXT=5),
        toolUsePromptTokensDetails=counts(IMAGE=8),
        candidatesTokensDetails=counts(TEXT=10, IMAGE=28, AUDIO=12),
    )
    details = UsageDetails(audio_input=15, image_input=28, audio_output=12, image_output=28)
    assert found == Usage(35, 30, 10, None, details)
    assert (found.total_input, found.total_output) == (108, 50)


def test_a_part_that_exceeds_its_total_is_left_out() -> None:
    found = usage(promptTokenCount=5, candidatesTokenCount=5, promptTokensDetails=counts(AUDIO=6, IMAGE=2))
    assert found == Usage(3, None, 5, None, UsageDetails(image_input=2))


def test_texts_alone_have_no_details() -> None:
    assert usage(promptTokenCount=5, promptTokensDetails=counts(TEXT=5)) == Usage(5)


@pytest.mark.parametrize(
    "document",
    [{}, {"usageMetadata": {}}, {"usageMetadata": None}, {"usageMetadata": {"trafficType": "ON_DEMAND"}}, [], None, "x",
     {"usageMetadata": {"promptTokenCount": "9"}}, {"usageMetadata": {"promptTokenCount": "\ud83d"}}, {"usageMetadata": {"totalTokenCount": 9}}],
)  # fmt: skip
def test_no_counts_are_no_usage(document: Any) -> None:
    assert find(document) is None


@given(st.tuples(*[st.integers(0, 1000)] * 4), st.integers(0, 1000))
def test_the_classes_add_up_to_googles_total(parts: tuple[int, ...], cached: int) -> None:
    prompt, tools, output, thoughts = parts
    found = usage(
        promptTokenCount=prompt,
        toolUsePromptTokenCount=tools,
        candidatesTokenCount=output,
        thoughtsTokenCount=thoughts,
        cachedContentTokenCount=min(cached, prompt),
        totalTokenCount=sum(parts),
    )
    assert found is not None
    assert (found.total_input, found.total_output) == (prompt + tools, output + thoughts)


@given(
    st.builds(
        Usage,
        st.integers(0, 99),
        st.none() | st.integers(1, 99),
        st.integers(0, 99),
        st.none() | st.integers(1, 99),
        st.just(UNSET)
        | st.builds(UsageDetails, audio_input=st.integers(1, 9), image_output=st.none() | st.integers(1, 9)),
    )
)
def test_usage_that_is_written_reads_as_it_was(own: Usage) -> None:
    found = find({"usageMetadata": usage_metadata(own)})
    assert found is not None
    assert found.summed() == own.summed()
    assert (found.details or UsageDetails()) == (own.details or UsageDetails())


def test_tokens_written_to_a_cache_belong_to_the_prompt() -> None:
    found = usage_metadata(Usage(10, 5, 2, None, UsageDetails(cache_write=3, cache_write_1h=4)))
    assert found == {
        "promptTokenCount": 22,
        "cachedContentTokenCount": 5,
        "candidatesTokenCount": 2,
        "totalTokenCount": 24,
    }


def test_unknown_counts_are_left_out() -> None:
    assert usage_metadata(Usage(output=2)) == {"candidatesTokenCount": 2, "totalTokenCount": 2}
