from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.translation.tool_ids import MOST, safe_id

ids = st.text(st.characters())


@given(ids)
def test_each_id_becomes_one_that_every_provider_takes(call_id: str) -> None:
    found = safe_id(call_id)
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", found)
    assert len(found) <= MOST
    assert safe_id(found) == found


@given(ids)
def test_a_call_and_its_results_keep_the_same_id(call_id: str) -> None:
    assert safe_id(call_id) == safe_id("".join(call_id))


@given(st.lists(ids, unique=True))
def test_different_calls_keep_different_ids(call_ids: list[str]) -> None:
    assert len(set(map(safe_id, call_ids))) == len(call_ids)


@pytest.mark.parametrize("call_id", ["toolu_01A09q90qw90lq917835lq9", "call_5H1wE0aYbQzqY3m8", "fc-1", "a" * MOST])
def test_an_id_that_all_take_stays(call_id: str) -> None:
    assert safe_id(call_id) == call_id


@pytest.mark.parametrize("call_id", ["", "a" * (MOST + 1), "functions.f:0", "é", "a\n", "\ud800"])
def test_any_other_is_replaced_by_its_hash(call_id: str) -> None:
    assert re.fullmatch("call_[0-9a-f]{24}", safe_id(call_id))
