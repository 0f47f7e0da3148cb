"""Troubles of services."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.addresses.book import AddressBook
from proxy.config.service_schema import ServerAddress, ServiceSettings
from proxy.control.attention.services import PORTION, ServiceTroubles
from proxy.control.attention.trouble import Trouble
from proxy.control.clock import WallClock
from proxy.services.health.history import AddressHealth, HealthChange
from tests.support.clock import FakeClock

A, B, C = "http://a", "http://b", "http://c"


class Services:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.book = AddressBook()
        self.checks: list[AddressHealth] = []
        self.troubles = ServiceTroubles(self.book, self._health, WallClock(self.clock.now, self.clock.wall))

    def _health(self, name: str) -> Sequence[AddressHealth]:
        return self.checks

    def put(self, *urls: str, drained: Sequence[str] = (), weight: float = 1.0) -> None:
        addresses = [ServerAddress(url, weight=weight) for url in urls]
        self.book.put("s", ServiceSettings(), addresses, self.clock.now(), drained)

    def fail(self, number: int, why: str = "") -> None:
        address = self.book.group("s").addresses[number]
        self.book.note_health(address, False, self.clock.now())
        if why:
            self.checks.append(AddressHealth(address.url, False, 1.0, 0.1, why, True, [HealthChange(77.0, False)]))

    def open(self, number: int) -> None:
        breaker = self.book.group("s").addresses[number].breaker
        while breaker.state == "closed":
            breaker.fail(breaker.acquire("", self.clock.now()), self.clock.now(), "status_500")

    async def found(self) -> list[tuple[str, str, int]]:
        troubles = await self.troubles.find()
        assert all((each.kind, each.what, each.service) == ("service", "s", "s") for each in troubles)
        return [(each.severity, each.why, each.count) for each in troubles]


async def test_addresses_that_take_requests_are_no_trouble() -> None:
    services = Services()
    assert await services.found() == []
    services.put(A, B)
    assert await services.found() == []


async def test_a_service_without_addresses_serves_nothing() -> None:
    services = Services()
    services.put()
    assert await services.found() == [("error", "it has no address, so its requests fail", 1)]


async def test_an_address_that_fails_its_checks_is_a_warning_with_its_reason() -> None:
    services = Services()
    services.put(A, B, C)
    services.fail(1, "status 503")
    assert await services.found() == [("warning", "1 of 3 addresses fails its health checks (status 503)", 1)]
    [trouble] = await services.troubles.find()
    assert trouble.since == 77.0
    services.open(0)
    assert await services.found() == [
        (
            "warning",
            "1 of 3 addresses fails its health checks (status 503), 1 of 3 addresses is left out as requests to it"
            " fail",
            2,
        )
    ]


async def test_what_an_operator_wants_is_a_trouble_only_if_nothing_is_left() -> None:
    services = Services()
    services.put(A, B, drained=[A])
    assert await services.found() == []
    services.put(A, B, drained=[A, B])
    why = "no address is usable: 2 of 2 addresses are drained; its requests fail"
    assert await services.found() == [("error", why, 2)]
    services.put(A, weight=0.0)
    why = "no address is usable: 1 of 1 address has the weight 0; its requests fail"
    assert await services.found() == [("error", why, 1)]


async def test_a_service_that_uses_addresses_which_fail_says_so() -> None:
    services = Services()
    services.put(A, B)
    services.fail(0, "cannot connect: Connection refused")
    services.fail(1)
    why = (
        "no address is usable: 2 of 2 addresses fail their health checks (cannot connect: Connection refused);"
        " all are used nevertheless"
    )
    assert await services.found() == [("error", why, 2)]


async def test_a_service_whose_breakers_are_open_fails() -> None:
    services = Services()
    services.put(A)
    services.open(0)
    why = "no address is usable: 1 of 1 address is left out as requests to it fail; its requests fail"
    assert await services.found() == [("error", why, 1)]
    services.book.group("s").addresses[0].breaker.trip(services.clock.now(), "operator")
    why = "no address is usable: 1 of 1 address is taken out of service by an operator; its requests fail"
    assert await services.found() == [("error", why, 1)]


async def test_many_services_are_looked_at_in_portions() -> None:
    services = Services()
    for number in range(2 * PORTION):
        services.book.put(f"s{number}", ServiceSettings(), [], services.clock.now())
    found: list[Trouble] = await services.troubles.find()
    assert len(found) == 2 * PORTION
