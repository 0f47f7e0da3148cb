"""Health of the services as a component."""

from __future__ import annotations

from proxy.addresses.book import AddressBook
from proxy.config.service_schema import ServerAddress, ServiceSettings
from proxy.control.clock import WallClock
from proxy.control.health.services import RECHECK_SECS, ServicesHealth
from tests.support.clock import MIDNIGHT, FakeClock


async def test_it_is_up_while_every_service_has_a_usable_address() -> None:
    clock, book = FakeClock(), AddressBook()
    health = ServicesHealth(book, WallClock(clock.now, clock.wall))
    assert health.state is None
    for name in ("a", "b"):
        addresses = [ServerAddress(f"http://{name}{number}") for number in range(2)]
        book.put(name, ServiceSettings(), addresses, clock.now())
    clock.advance(RECHECK_SECS)
    assert health.state is not None
    assert (health.state.status, health.state.why, health.state.vital) == ("up", "", False)

    first, second = book.group("a").addresses
    book.note_health(first, False, clock.now())
    clock.advance(RECHECK_SECS)
    assert health.state.status == "up"
    second.breaker.trip(clock.now(), "operator")
    assert health.state.status == "up"  # not looked at yet
    clock.advance(RECHECK_SECS)
    state = health.state
    assert (state.status, state.why) == ("degraded", "1 of 2 services have no usable address; see the page Services")
    assert state.since == MIDNIGHT + 3 * RECHECK_SECS

    book.put("b", ServiceSettings(), [], clock.now())
    clock.advance(RECHECK_SECS)
    down = health.state
    assert (down.status, down.since) == ("down", state.since + RECHECK_SECS)
    clock.advance(RECHECK_SECS)
    assert health.state.since == down.since
    book.forget("a")
    clock.advance(RECHECK_SECS)
    assert health.state.why == "1 of 1 service has no usable address; see the page Services"
    book.forget("b")
    assert health.state is None
