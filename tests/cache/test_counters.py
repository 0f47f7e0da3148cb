"""What the cache notes of requests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from proxy.cache.counters import CacheCounters
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
