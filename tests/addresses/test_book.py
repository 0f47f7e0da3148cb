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
