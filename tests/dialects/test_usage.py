from __future__ import annotations

import pytest
from msgspec import json

from proxy.dialects.usage import Usage, UsageDetails


def test_each_detail_is_in_the_sum_of_its_side() -> None:
    details = UsageDetails(50_000, 600_000, 7_000_000, 80_000_000, 900_000_000, 1_000_000_000)
    usage = Usage(1, 20, 300, 4_000, details)
    assert usage.summed() == Usage(907_650_001, 20, 1_080_000_300, 4_000)
    assert (usage.total_input, usage.total_output) == (907_650_021, 1_080_004_300)


@pytest.mark.parametrize(
    ("usage", "summed"),
    [
        (Usage(), Usage()),
        (Usage(cache_read=5, details=UsageDetails(audio_input=3, image_output=1)), Usage(cache_read=5)),
        (Usage(0, None, 0), Usage(0, None, 0)),
        (Usage(0, 0, 0, 0, UsageDetails(0, 0, 0, 0, 0, 0)), Usage(0, 0, 0, 0)),
        (Usage(7, details=UsageDetails()), Usage(7)),
    ],
)
def test_an_unknown_count_stays_unknown(usage: Usage, summed: Usage) -> None:
    assert usage.summed() == summed


def test_the_known_tokens_are_those_of_all_classes_and_no_images() -> None:
    details = UsageDetails(50_000, 600_000, 7_000_000, 80_000_000, 900_000_000, 1_000_000_000, images=9)
    assert Usage(1, 20, 300, 4_000, details).known_tokens == 1_987_654_321
    assert Usage(None, 5).known_tokens == 5
    assert Usage().known_tokens == 0


def test_its_json_has_the_names_that_users_know() -> None:
    assert json.encode(Usage(1, 2)) == b'{"input":1,"cached":2,"output":null,"reasoning":null}'
