"""Services as they are shown."""

from __future__ import annotations

import pytest

from proxy.addresses.book import AddressBook
from proxy.config.service_schema import ServerAddress, ServiceSettings
from proxy.control.clock import WallClock
from proxy.control.services.views import address_view, health_of

CLOCK = WallClock(lambda: 50.0, lambda: 1_700_000_050.0)


def book(*weights: float) -> AddressBook:
    found = AddressBook()
    listed = [ServerAddress(f"http://a{number}:1", weight=weight) for number, weight in enumerate(weights)]
    found.put("s", ServiceSettings(), listed, 10.0)
    return found


@pytest.mark.parametrize(("unhealthy", "health"), [((), "up"), ((0,), "degraded"), ((0, 1), "down")])
def test_the_health_of_a_service_is_that_of_its_addresses(unhealthy: tuple[int, ...], health: str) -> None:
    found = book(1, 2)
    addresses = found.group("s").addresses
    for number in unhealthy:
        found.note_health(addresses[number], False, 20.0)
    assert health_of([address_view(each, "settings", CLOCK) for each in addresses]) == health
    assert health_of([]) == "empty"


def test_an_address_of_weight_0_is_not_usable_and_one_without_requests_has_no_latency() -> None:
    [address] = book(0).group("s").addresses
    view = address_view(address, "consul", CLOCK)
    assert (view.usable, view.latency_ms, view.healthy, view.source) == (False, None, None, "consul")


def test_an_open_breaker_tells_when_it_is_tried_again() -> None:
    [address] = book(1).group("s").addresses
    address.breaker.trip(45.0, "connection refused")
    view = address_view(address, "settings", CLOCK)
    assert (view.usable, view.breaker.state, view.breaker.why) == (False, "open", "connection refused")
    assert (view.breaker.since, view.breaker.held) == (1_700_000_045.0, True)
