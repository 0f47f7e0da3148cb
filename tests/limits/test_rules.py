from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from proxy.config.limit_schema import Limits
from proxy.config.schema import Auth, RateLimiting
from proxy.identity import Client
from proxy.limits.base import Limit
from proxy.limits.rules import MOST_OVERRIDES, UNBOUNDED, Bounds, Costs, Rules

Described = list[tuple[str, float, float]]


def rules(**settings: Any) -> Rules:
    return Rules.of(RateLimiting(**{"enabled": True} | settings))


def described(bounds: Bounds) -> Described:
    """Every limit's name, capacity and rate by the minute."""
    found: list[Limit] = [*bounds.requests, *([bounds.tokens] if bounds.tokens else [])]
    return [(limit.name, limit.capacity, round(limit.rate * 60, 9)) for limit in found]


# -- one level ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(requests_per_minute=20), [("client:requestsPerMinute", 20, 20)]),
        (Limits(requests_per_minute=20, burst_size=5), [("client:requestsPerMinute", 5, 20)]),
        (Limits(requests_per_minute=20, burst_size=50), [("client:requestsPerMinute", 50, 20)]),
        (Limits(requests_per_hour=120), [("client:requestsPerHour", 120, 2)]),
        (Limits(requests_per_hour=120, burst_size=5), [("client:requestsPerHour", 5, 2)]),
        (Limits(tokens_per_minute=1000), [("client:tokensPerMinute", 1000, 1000)]),
        (Limits(concurrent=3), [("client:concurrent", 3, 0)]),
        (Limits(burst_size=3), []),
        (Limits(), []),
        (Limits(enabled=False, requests_per_minute=20), []),
    ],
)
def test_every_bound_becomes_a_limit(limits: Limits, expected: Described) -> None:
    assert described(rules(per_client=limits).client(None)) == expected


def test_a_burst_applies_to_the_minute_if_both_are_limited() -> None:
    both = Limits(requests_per_minute=20, requests_per_hour=600, tokens_per_minute=900, concurrent=2, burst_size=5)
    assert described(rules(per_client=both).client(None)) == [
        ("client:requestsPerMinute", 5, 20),
        ("client:requestsPerHour", 600, 10),
        ("client:concurrent", 2, 0),
        ("client:tokensPerMinute", 900, 900),
    ]


def test_costs_before_the_body_exclude_tokens() -> None:
    bounds = rules(per_client=Limits(requests_per_minute=1, concurrent=1, tokens_per_minute=1)).client(None)
    assert [limit.unit for limit in bounds.requests] == ["requestsPerMinute", "concurrent"]
    assert bounds.tokens is not None
    assert (bounds.tokens.unit, bounds.tokens.level) == ("tokensPerMinute", "client")


def test_every_level_has_its_own_limits() -> None:
    one, *more = (Limits(requests_per_minute=number) for number in range(1, 6))
    made = rules(global_=one, per_client=more[0], per_address=more[1], per_model=more[2], per_provider=more[3])
    levels = (made.shared, made.client(None), made.address, made.model, made.provider)
    assert [described(level)[0][:2] for level in levels] == [
        ("global:requestsPerMinute", 1),
        ("client:requestsPerMinute", 2),
        ("address:requestsPerMinute", 3),
        ("model:requestsPerMinute", 4),
        ("provider:requestsPerMinute", 5),
    ]


def test_nothing_is_limited_unless_enabled() -> None:
    limits = Limits(requests_per_minute=1, tokens_per_minute=1)
    levels = dict.fromkeys(("global_", "per_client", "per_address", "per_model", "per_provider"), limits)
    for made in (rules(), Rules.of(RateLimiting(enabled=False, **levels))):
        assert all(level is UNBOUNDED for level in (made.shared, made.address, made.model, made.provider))
        assert made.client(None) is UNBOUNDED
        assert not made.counts_tokens
    assert Rules.of(RateLimiting(**levels)).client(limits) is UNBOUNDED
    assert Rules.of(RateLimiting(**levels), Auth(mode="none")).inactive


@pytest.mark.parametrize("mode", ["keys", "jwt", "any"])
def test_limits_of_a_credential_apply_without_configured_levels(mode: Any) -> None:
    level = Limits(requests_per_minute=1, concurrent=1)
    made = Rules.of(RateLimiting(per_client=level, global_=level), Auth(mode=mode))
    own = Limits(requests_per_minute=3, tokens_per_minute=9)
    assert not made.inactive
    assert described(made.client(own)) == [("client:requestsPerMinute", 3, 3), ("client:tokensPerMinute", 9, 9)]
    assert made.counts_tokens
    assert made.client(None) is made.shared is made.address is UNBOUNDED
    assert made.client(Limits(enabled=False, requests_per_minute=1)) is UNBOUNDED


# -- addresses ----------------------------------------------------------------------------------------


def test_an_address_gets_ten_times_the_client_limit() -> None:
    client = Limits(requests_per_minute=20, requests_per_hour=60, tokens_per_minute=9, concurrent=2, burst_size=5)
    assert described(rules(per_client=client).address) == [
        ("address:requestsPerMinute", 50, 200),
        ("address:requestsPerHour", 600, 10),
        ("address:concurrent", 20, 0),
        ("address:tokensPerMinute", 90, 90),
    ]


def test_an_address_gets_its_configured_limit() -> None:
    client, own = Limits(requests_per_minute=20), Limits(concurrent=7)
    assert described(rules(per_client=client, per_address=own).address) == [("address:concurrent", 7, 0)]
    off = Limits(enabled=False, concurrent=7)
    assert rules(per_client=client, per_address=off).address is UNBOUNDED
    assert rules(per_client=off).address is UNBOUNDED


# -- a client's own limits ----------------------------------------------------------------------------


def test_own_limits_override_each_member_of_the_level() -> None:
    made = rules(per_client=Limits(requests_per_minute=20, burst_size=5, concurrent=2))
    assert described(made.client(Limits(requests_per_minute=100))) == [
        ("client:requestsPerMinute", 5, 100),
        ("client:concurrent", 2, 0),
    ]
    assert described(made.client(Limits(burst_size=9, tokens_per_minute=60))) == [
        ("client:requestsPerMinute", 9, 20),
        ("client:concurrent", 2, 0),
        ("client:tokensPerMinute", 60, 60),
    ]
    assert described(made.client(Limits())) == described(made.client(None))


def test_own_limits_apply_if_the_level_has_none() -> None:
    own = Limits(requests_per_minute=3)
    for level in (None, Limits(enabled=False, requests_per_minute=20, concurrent=1)):
        assert described(rules(per_client=level).client(own)) == [("client:requestsPerMinute", 3, 3)]


def test_disabled_own_limits_remove_the_level() -> None:
    made = rules(per_client=Limits(requests_per_minute=20))
    assert made.client(Limits(enabled=False, requests_per_minute=1)) is UNBOUNDED


def test_equal_own_limits_are_compiled_once_in_a_bounded_cache() -> None:
    made = rules()
    first = made.client(Limits(concurrent=1))
    assert made.client(Limits(concurrent=1)) is first
    for number in range(MOST_OVERRIDES):
        made.client(Limits(concurrent=2 + number))
    assert len(made._known) == MOST_OVERRIDES
    assert made.client(Limits(concurrent=1)) is not first


def test_tokens_are_counted_if_any_limit_needs_them() -> None:
    assert rules(per_model=Limits(tokens_per_minute=1)).counts_tokens
    made = rules(per_client=Limits(concurrent=1))
    assert not made.counts_tokens
    made.client(Limits(tokens_per_minute=1))
    assert made.counts_tokens


def test_slots_are_released_if_any_limit_needs_them() -> None:
    assert rules(per_provider=Limits(concurrent=1)).has_slots
    made = rules(per_client=Limits(requests_per_minute=1))
    assert not made.has_slots
    made.client(Limits(concurrent=1))
    assert made.has_slots


# -- what a request costs -----------------------------------------------------------------------------


def wanted(costs: Costs) -> list[tuple[str, float, str, float]]:
    return [(cost.limit.name, cost.limit.capacity, cost.key, cost.amount) for cost in costs]


def test_costs_of_a_request_are_global_client_and_address() -> None:
    one, own = Limits(requests_per_minute=1, concurrent=5, tokens_per_minute=9), Limits(requests_per_hour=7)
    made = rules(global_=one, per_client=Limits(requests_per_minute=2), per_address=Limits(concurrent=3))
    shared = [("global:requestsPerMinute", 1, "all", 1), ("global:concurrent", 5, "all", 1)]
    client = ("client:requestsPerMinute", 2, "key:a", 1)
    assert wanted(made.client_costs(None)) == shared
    assert wanted(made.client_costs(Client("key:a"))) == [*shared, client]
    assert wanted(made.client_costs(Client("key:a", address="::1"))) == [
        *shared,
        client,
        ("address:concurrent", 3, "::1", 1),
    ]
    hourly = ("client:requestsPerHour", 7, "key:a", 1)
    assert wanted(made.client_costs(Client("key:a", limits=own))) == [*shared, client, hourly]
    assert wanted(made.client_costs(Client("key:a", limits=Limits(enabled=False)))) == shared


def test_costs_of_an_attempt_are_model_and_provider() -> None:
    made = rules(per_model=Limits(requests_per_minute=1, tokens_per_minute=9), per_provider=Limits(concurrent=2))
    expected = [("model:requestsPerMinute", 1, "m", 1), ("provider:concurrent", 2, "p", 1)]
    assert wanted(made.deployment_costs("m", "p")) == expected
    assert made.deployment_costs("p", "m") != made.deployment_costs("m", "p")
    assert rules().deployment_costs("m", "p") == ()


def test_a_client_with_new_limits_has_new_costs() -> None:
    made = rules(per_client=Limits(requests_per_minute=2))
    for bound in (5, 6):
        client = Client("key:a", limits=Limits(requests_per_minute=bound))
        assert [cost.limit.capacity for cost in made.client_costs(client)] == [bound]


def test_the_first_client_with_slots_gets_a_lease() -> None:
    made = rules()
    assert not made.gives_back
    assert [cost.limit.unit for cost in made.client_costs(Client("key:a", limits=Limits(concurrent=1)))] == [
        "concurrent"
    ]
    assert made.has_slots
    assert made.gives_back


bounds = st.none() | st.integers(1, 10**9)
limits = st.builds(
    lambda enabled, *values: Limits(enabled, *(UNSET if value is None else value for value in values)),
    st.booleans(),
    *[bounds] * 5,
)


@given(st.none() | limits, limits)
def test_own_limits_equal_configured_limits(level: Limits | None, own: Limits) -> None:
    base = level if level is not None and level.enabled else Limits()
    names = Limits.__struct_fields__[1:]
    merged = {name: getattr(base if getattr(own, name) is UNSET else own, name) for name in names}
    assert described(rules(per_client=level).client(own)) == described(
        rules(per_client=Limits(own.enabled, **merged)).client(None)
    )
