from __future__ import annotations

from proxy.addresses.book import AddressBook
from proxy.breakers.breaker import Breaker, State
from proxy.config.service_schema import ServerAddress, ServiceBreaker, ServiceSettings

SETTINGS = ServiceSettings()
A, B = ServerAddress(url="http://a:1"), ServerAddress(url="http://b:1")


def test_live_state_is_kept_by_url_while_the_set_changes() -> None:
    book = AddressBook()
    book.put("s", SETTINGS, (A, B), 1.0)
    first = book.group("s").addresses[0]
    first.in_flight = 3
    book.put("s", SETTINGS, (ServerAddress(url=A.url, weight=2),), 2.0, drained=(A.url,))
    (kept,) = book.group("s").addresses
    assert kept is first
    assert (kept.settings.weight, kept.drained, kept.since) == (2, True, 1.0)


def test_a_change_is_told_by_the_name_of_the_service() -> None:
    book, told = AddressBook(), list[str]()
    book.on_change.append(told.append)
    book.put("s", SETTINGS, (A,), 1.0)
    (live,) = book.group("s").addresses
    book.note_health(live, False, 2.0)
    book.note_health(live, False, 3.0)
    book.note_health(live, True, 4.0)
    assert live.since == 4.0
    book.forget("s")
    book.forget("s")
    assert told == ["s"] * 4
    assert book.group("s").addresses == ()


def test_breakers_follow_the_settings_and_are_heard() -> None:
    book, told = AddressBook(), list[str]()

    def changed(breaker: Breaker, old: State, now: float) -> None:
        told.append(f"{breaker.key} {old} {breaker.state}")

    book.on_breaker.append(changed)
    book.put("s", ServiceSettings(breaker=ServiceBreaker(failure_threshold=1)), (A,), 1.0)
    (live,) = book.group("s").addresses
    live.breaker.fail(live.breaker.acquire("", 1.0), 1.0, "connect")
    assert told == ["s http://a:1 closed open"]
    assert not live.usable(2.0)
    assert live.usable(11.0)


def test_a_gone_address_that_ends_its_last_requests_changes_nothing() -> None:
    book = AddressBook()
    book.put("s", ServiceSettings(breaker=ServiceBreaker(failure_threshold=1)), (A, B), 1.0)
    gone, _ = book.group("s").addresses
    book.put("s", SETTINGS, (B,), 2.0)
    gone.breaker.fail(gone.breaker.acquire("", 3.0), 3.0, "connect")
    book.put("s", SETTINGS, (A, B), 4.0)
    new = book.group("s").addresses[0]
    assert new is not gone
    assert new.breaker.state == "closed"
    book.forget("s")
    new.breaker.trip(5.0, "operator")
    assert book.group("s").choose(5.0) is None


def test_a_recovered_address_has_a_closed_breaker_unless_an_operator_opened_it() -> None:
    book = AddressBook()
    book.put("s", ServiceSettings(breaker=ServiceBreaker(failure_threshold=1)), (A, B), 1.0)
    failed, held = book.group("s").addresses
    failed.breaker.fail(failed.breaker.acquire("", 1.0), 1.0, "connect")
    held.breaker.trip(1.0, "operator")
    for live in (failed, held):
        book.note_health(live, False, 2.0)
        book.note_health(live, True, 3.0)
    assert (failed.breaker.state, failed.since) == ("closed", 3.0)
    assert held.breaker.state == "open"


def test_a_breaker_that_closes_is_a_recovery() -> None:
    book = AddressBook()
    book.put("s", ServiceSettings(breaker=ServiceBreaker(failure_threshold=1)), (A,), 1.0)
    (live,) = book.group("s").addresses
    live.breaker.fail(live.breaker.acquire("", 1.0), 1.0, "connect")
    assert live.since == 1.0
    live.breaker.succeed(live.breaker.acquire("", 11.0), "", 12.0)
    assert live.since == 12.0
