from __future__ import annotations

import pytest

from proxy.limits.base import Limit, Unit


@pytest.mark.parametrize(
    ("unit", "capacity", "rate", "quota", "refill"),
    [
        ("requestsPerMinute", 20.0, 20 / 60, 20, 60.0),
        ("requestsPerMinute", 5.0, 20 / 60, 20, 15.0),  # the burst is smaller than the quota
        ("requestsPerMinute", 123.0, 123 / 60, 123, 60.0),  # 123 / 60 * 60 is less than 123
        ("requestsPerHour", 120.0, 120 / 3600, 120, 3600.0),
        ("tokensPerMinute", 900.0, 900 / 60, 900, 60.0),
        ("concurrent", 3.0, 0.0, 3, 0.0),
    ],
)
def test_a_limit_knows_its_quota_and_when_an_empty_bucket_is_full(
    unit: Unit, capacity: float, rate: float, quota: int, refill: float
) -> None:
    limit = Limit("client", unit, f"client:{unit}", capacity, rate)
    assert limit.quota == quota
    assert limit.refill == pytest.approx(refill)


def test_limits_are_compared_by_identity() -> None:
    # A bucket of one configuration is not the bucket of the next one.
    one, two = (Limit("global", "concurrent", "global:concurrent", 1.0, 0.0) for _ in range(2))
    assert one != two
    assert len({one, two}) == 2
