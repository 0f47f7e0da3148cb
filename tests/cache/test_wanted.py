"""What the cache notes of a request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.cache.wanted import CacheCounters, is_of_providers
from proxy.errors import (
    BudgetExceeded,
    ClientFault,
    GatewayError,
    Overloaded,
    RateLimited,
    ShuttingDown,
    UpstreamFault,
)
from tests.cache.answers import answer_of


def responder() -> Any:
    exchange = SimpleNamespace(cache="", saved=None)
    return SimpleNamespace(exchange=exchange, request=SimpleNamespace(response_lines=b"a: b\r\n"))


def test_a_stale_answer_stands_in_the_place_of_a_miss() -> None:
    counters, one = CacheCounters(), responder()
    counters.note_miss(one)
    assert one.request.response_lines == b"a: b\r\nx-router-cache: miss\r\n"
    counters.note_stale(one)
    assert (counters.miss, counters.stale, one.exchange.cache) == (0, 1, "stale")
    assert one.request.response_lines == b"a: b\r\nx-router-cache: stale\r\n"


def test_what_is_saved_is_summed_as_far_as_it_is_known() -> None:
    counters, one = CacheCounters(), responder()
    counters.note_saved(one, answer_of())
    counters.note_saved(one, replace(answer_of(), cost=None, input=None))
    counters.note_saved(one, answer_of())
    assert (counters.cost, counters.input, counters.output, one.exchange.saved) == (2000, 14, 15, 2000)
    other = responder()
    counters.note_saved(other, replace(answer_of(), cost=None))
    assert other.exchange.saved is None


@pytest.mark.parametrize(
    ("fault", "stale"),
    [
        (UpstreamFault("x", status=502), True),
        (UpstreamFault("x", status=429), True),
        (Overloaded("x"), True),
        (UpstreamFault("x", status=404), False),
        (ClientFault("x", status=500), False),
        (RateLimited("model", "tokensPerMinute", retry_after=1), False),
        (BudgetExceeded("x"), False),
        (ShuttingDown("x"), False),
        (GatewayError("x", status=500), False),
    ],
)
def test_which_errors_a_stale_answer_replaces(fault: GatewayError, stale: bool) -> None:
    assert is_of_providers(fault) is stale
