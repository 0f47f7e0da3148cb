from __future__ import annotations

import pytest

from proxy.dialects.usage import TokenCounts, Usage


def test_each_class_is_in_one_of_the_counts_that_are_shown() -> None:
    usage = Usage(1, 20, 300, 4_000, 50_000, 600_000, 7_000_000, 80_000_000, 900_000_000, 1_000_000_000)
    assert usage.counts() == TokenCounts(907_650_001, 20, 1_080_000_300, 4_000)
    assert (usage.total_input, usage.total_output) == (907_650_021, 1_080_004_300)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (Usage(), TokenCounts(None, None, None, None)),
        (Usage(cache_read=5, audio_input=3, reasoning=2, image_output=1), TokenCounts(None, 5, None, 2)),
        (Usage(0, None, 0), TokenCounts(0, None, 0, None)),
        (Usage(0, 0, 0, 0, 0, 0, 0, 0, 0, 0), TokenCounts(0, 0, 0, 0)),
    ],
)
def test_an_unknown_count_stays_unknown(usage: Usage, counts: TokenCounts) -> None:
    assert usage.counts() == counts
