"""Searching the requests that are kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.activity.record import record_of
from proxy.control.activity.search import STEP, Kept, RequestFilter, TextPattern, search
from proxy.identity import Client
from tests.observe.exchanges import settled

ANN = Client("key:k1", "ci", owner="ann@example.org")


def kept() -> list[tuple[Kept, int]]:
    """Three exchanges, newest first; one of them as a record."""
    plain = settled(request_id="req-c", model="gpt-4o", request_model="gpt-4o-2024-08-06", run="night-2")
    failed = settled(request_id="req-b", model="Claude", request_model="", outcome="error", caller=ANN, run="night-1")
    other = settled(request_id="req-a", model="gpt-4o-mini", request_model="", client="10.0.0.7")
    return [(plain, 3), (record_of(failed, 2), 2), (other, 1)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [3, 2, 1]),
        ({"id": "req-b"}, [2]),
        ({"id": "*-A"}, [1]),
        ({"id": "req"}, []),
        ({"model": "gpt-4o"}, [3]),
        ({"model": "GPT-4o*"}, [3, 1]),
        ({"model": "*2024*"}, [3]),
        ({"client": "key:k1"}, [2]),
        ({"client": "ci"}, [2]),
        ({"client": "*@example.org"}, [2]),
        ({"client": "10.0.*"}, [1]),
        ({"client": "127.0.0.1"}, [3, 2]),
        ({"run": "night-*"}, [3, 2]),
        ({"run": "*"}, [3, 2, 1]),
        ({"outcome": "error"}, [2]),
        ({"outcome": "error", "run": "night-2"}, []),
    ],
)
async def test_every_condition_must_match(wanted: dict[str, Any], found: list[int]) -> None:
    entries = await search(kept(), RequestFilter(**wanted), 10)
    assert [sequence for _, sequence in entries] == found


async def test_the_search_ends_with_the_last_one_that_is_wanted() -> None:
    entries = iter(kept())
    assert [sequence for _, sequence in await search(entries, RequestFilter(), 2)] == [3, 2]
    assert next(entries)[1] == 1


async def test_other_callbacks_run_during_a_long_search() -> None:
    [one, *_] = kept()
    turns: list[int] = []

    def entries() -> Iterator[tuple[Kept, int]]:
        for number in range(3 * STEP):
            if number == STEP + 1:
                assert turns == [1]
            yield one

    asyncio.get_running_loop().call_soon(turns.append, 1)
    assert await search(entries(), RequestFilter(id="nothing"), 10) == []


TEXTS = st.text(st.sampled_from("abAB*ß.\n"), max_size=8)


@given(TEXTS, TEXTS)
def test_a_pattern_matches_as_a_regular_expression_would(pattern: str, text: str) -> None:
    expression = ".*".join(re.escape(part) for part in pattern.casefold().split("*"))
    expected = re.fullmatch(expression, text.casefold(), re.DOTALL) is not None
    assert TextPattern(pattern).matches(text) is expected
