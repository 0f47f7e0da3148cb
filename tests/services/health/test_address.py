"""What checks change of an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from proxy.addresses.book import AddressBook
from proxy.config.provider_schema import Tls
from proxy.config.service_schema import HealthCheck, ServerAddress, ServiceSettings
from proxy.services.health.address import FRESH_SECS, CheckedAddress, CheckResult
from proxy.services.health.history import MOST_CHANGES, AddressHealth, HealthChange


def checked(now: float = 0.0, **check: Any) -> CheckedAddress:
    book = AddressBook()
    book.put("s", ServiceSettings(), [ServerAddress("http://a")], now)
    return CheckedAddress(book.group("s").addresses[0], HealthCheck(path="/", **check), Tls(), now)


def expected(results: Sequence[bool], healthy: int, unhealthy: int) -> list[bool]:
    """The state after each result, as the documentation says it."""
    states: list[bool] = []
    for number, passed in enumerate(results):
        needed = healthy if passed else unhealthy
        latest = results[max(0, number + 1 - needed) : number + 1]
        decides = len(latest) == needed and set(latest) == {passed}
        states.append(passed if not states or decides else states[-1])
    return states


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_health_follows_the_thresholds(results: list[bool], healthy: int, unhealthy: int) -> None:
    address = checked(healthy=healthy, unhealthy=unhealthy)
    seen = []
    for passed in results:
        address.live.healthy = address.judge(passed)
        seen.append(address.live.healthy)
    assert seen == expected(results, healthy, unhealthy)


def test_results_of_others_count_for_some_intervals_and_at_least_a_minute() -> None:
    assert checked(interval_secs=5.0).fresh_secs == FRESH_SECS
    assert checked(interval_secs=100.0, timeout_secs=4.0).fresh_secs == 304.0


def test_only_a_result_of_another_replica_becomes_stale() -> None:
    address = checked()
    assert not address.stale(1e9)
    address.last = CheckResult(True, 1.0, None)
    assert address.stale(address.elsewhere_until)
    assert not address.stale(address.elsewhere_until - 0.1)
    address.last = CheckResult(True, 1.0, 0.2)
    assert not address.stale(1e9)


def test_the_view_has_the_last_check_and_the_last_changes_newest_first() -> None:
    address = checked()
    assert address.view() == AddressHealth("http://a", None, None, None, "", False, [])
    for number in range(MOST_CHANGES + 5):
        address.history.add(HealthChange(float(number), bool(number % 2), "why"))
    address.live.healthy = False
    address.last = CheckResult(False, 99.0, 0.5, "status 500")
    view = address.view()
    assert [each.at for each in view.changes] == [float(number) for number in range(MOST_CHANGES + 4, 4, -1)]
    assert view == AddressHealth("http://a", False, 99.0, 0.5, "status 500", True, view.changes)
    address.last = CheckResult(False, 99.0, None, "status 500")
    assert not address.view().here
