"""What an exchange holds for its attempts, and is charged for them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from proxy.budgets.base import Charge, Shortfall, Wants, charge, hold
from proxy.budgets.book import Book
from proxy.budgets.holds import Holds
from proxy.dialects.usage import Usage
from proxy.exchange import NOTHING_HELD, Attempt, Exchange
from proxy.pricing.bill import FREE, Bill
from proxy.pricing.cost import RatedCost
from tests.budgets.rig import NOON, book, exchange

USD = {"name": "usd", "per": "owner", "usd": 1, "window": "day"}
TOKENS = {"name": "tokens", "per": "owner", "tokens": 1000, "window": "day"}


class _Deployment:
    def __init__(self, name: str) -> None:
        self.name = name
        self.provider = SimpleNamespace(name="up")


def deployment(name: str = "m") -> Any:
    return _Deployment(name)


class Rig:
    def __init__(self, *budgets: dict[str, Any]) -> None:
        self.book: Book = book(*budgets)
        self.exchange: Exchange = exchange()
        self.holds = Holds(self.book, self.exchange)
        self.counters = self.book.of_call(self.exchange, NOON)

    def hold(self, at: Any, amount: int) -> None:
        wants: Wants = tuple((counter, amount) for counter in self.counters)
        hold(wants)
        self.holds.held(at, wants)

    def attempt(self, at: Any, bill: Bill, *, ended: float | None = 1.0) -> None:
        made: Any = Attempt(at, *([None] * 2), 0.0, ended=ended, bill=bill)  # type: ignore[arg-type]
        self.exchange.attempts.append(made)

    def charge(self, charges: list[Charge]) -> None:
        charge(charges)


def billed(nano: int | None, tokens: int = 0) -> Bill:
    return Bill("provider", Usage(tokens, None, 0), RatedCost(nano, "catalog"))


def test_an_attempt_is_charged_what_it_cost_and_releases_what_it_held() -> None:
    rig, at = Rig(USD, TOKENS), deployment()
    rig.hold(at, 500)
    assert rig.holds.covers(at)
    assert rig.holds.of_attempt(at)[0] == ("usd/2026-11-29/alice", "tokens/2026-11-29/alice")
    rig.attempt(at, billed(70, tokens=9))
    rig.charge(rig.holds.settle())
    assert [(each.held, each.spent) for each in rig.counters] == [(0, 70), (0, 9)]
    assert rig.holds.settle() == []


def test_what_is_held_is_known_by_unit() -> None:
    at = deployment()
    for budgets, most in (((USD,), (None, 500)), ((TOKENS,), (500, None)), ((USD, TOKENS), (500, 500))):
        rig = Rig(*budgets)
        assert rig.holds.of_attempt(at) == NOTHING_HELD
        rig.hold(at, 500)
        assert rig.holds.of_attempt(at)[1:] == most


def test_a_refusal_has_the_header_of_budgets_that_have_reached_a_threshold() -> None:
    rig = Rig(USD, TOKENS)
    usd = rig.counters[0]
    usd.spent, usd.fired = 810_000_000, 80
    assert rig.holds.header_line() == b""  # no counter is held
    rig.holds.counters(deployment())
    error = rig.holds.refusal(Shortfall(usd, 200_000_000, 810_000_000))
    assert (error.status, usd.refused, usd.refused_at) == (429, 200_000_000, NOON)
    assert rig.holds.header_line() == b"x-router-budget: usd; used=81; renews=2026-11-30T00:00:00Z\r\n"


def test_a_call_that_made_no_attempt_releases_everything() -> None:
    rig, at = Rig(USD), deployment()
    rig.hold(at, 500)
    rig.charge(rig.holds.settle())
    assert [(each.held, each.spent) for each in rig.counters] == [(0, 0)]


def test_a_failed_attempt_is_charged_before_the_next_holds() -> None:
    rig, first, second = Rig(USD), deployment("a"), deployment("b")
    rig.hold(first, 500)
    rig.attempt(first, billed(20))
    rig.charge(rig.holds.of_ended())
    assert not rig.holds.covers(first)
    assert [(each.held, each.spent) for each in rig.counters] == [(0, 20)]
    rig.hold(second, 300)
    rig.attempt(second, billed(30))
    rig.charge(rig.holds.settle())
    assert [(each.held, each.spent) for each in rig.counters] == [(0, 50)]


def test_a_race_holds_two_and_is_charged_for_both() -> None:
    rig, first, second = Rig(USD), deployment("a"), deployment("b")
    rig.hold(first, 500)
    rig.attempt(first, billed(1), ended=None)
    rig.hold(second, 400)
    rig.attempt(second, billed(2), ended=None)
    assert rig.holds.of_ended() == []
    assert [each.held for each in rig.counters] == [900]
    rig.charge(rig.holds.settle())
    assert [(each.held, each.spent) for each in rig.counters] == [(0, 3)]


def test_an_unknown_cost_and_a_free_attempt_are_charged_nothing() -> None:
    rig, at = Rig(USD), deployment()
    rig.hold(at, 500)
    rig.attempt(at, billed(None))
    rig.charge(rig.holds.of_ended())
    rig.hold(at, 500)
    rig.attempt(at, FREE)
    rig.charge(rig.holds.settle())
    assert [(each.held, each.spent) for each in rig.counters] == [(0, 0)]
