from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.price_document import read_prices

ROW = {"input": 1, "output": 2.5, "tiers": [{"above": 200000, "input": 2}], "serviceTiers": {"flex": {"input": 0.5}}}


def document(**members: Any) -> bytes:
    whole = {"version": "v", "date": "2026-11-29", "prices": [[ROW]], "providers": {"openai": {"m*": 0}}}
    return json.dumps(whole | members).encode()


def test_a_document_has_rows_as_models_have_them() -> None:
    found = read_prices(document(fallbacks={"azure": ["openai"]}, notice="MIT"))
    row = found.prices[0][0]
    assert (row.input, row.output, row.tiers[0].above, row.service_tiers["flex"].input) == (1, 2.5, 200_000, 0.5)
    assert read_prices(document(prices=[[ROW | {"validFrom": "2026-01-01", "hours": "22:00-04:00"}]]))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is no price document"),
        (b"[" * 100_000, "is no price document"),
        (b"<html>", "is no price document"),
        (b"{}", "is no price document"),
        (document(version=""), "is no price document"),
        (document(more=1), "is no price document"),
        (document(prices=[[{"input": -1}]]), "is no price document"),
        (document(prices=[[{"input": 1, "inputs": 2}]]), "is no price document"),
        (document(prices=[[]]), r"prices\[0\]: has no row"),
        (document(prices=[[{}]]), r"prices\[0\]: has no price"),
        (document(prices=[[{"input": 0.0000000001}]]), r"prices\[0\]: input has more than nine decimals"),
        (document(prices=[[ROW | {"tiers": [{"above": 5}]}]]), r"prices\[0\]: has no price"),
        (document(prices=[[ROW | {"serviceTiers": {"flex": {}}}]]), r"prices\[0\]: has no price"),
        (document(prices=[[ROW | {"validFrom": "May"}]]), r"prices\[0\]: May: expected a date"),
        (document(prices=[[ROW | {"hours": "1-2"}]]), r"prices\[0\]: 1-2: expected two different times"),
        (document(providers={"openai": {"m": 1}}), r"providers.openai.m: there are no prices\[1\]"),
        (document(providers={"openai": {"m": -1}}), r"there are no prices\[-1\]"),
    ],
)
def test_a_bad_document_is_refused_whole(content: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read_prices(content)


def test_only_the_first_mistakes_are_reported() -> None:
    with pytest.raises(ValueError) as caught:
        read_prices(document(prices=[[{}]] * 50))
    assert str(caught.value).count("has no price") == 5


@given(st.binary(max_size=200) | st.integers(0, len(document())).map(lambda end: document()[:end]))
def test_other_bytes_never_raise_anything_else(content: bytes) -> None:
    try:
        read_prices(content)
    except ValueError:
        return
    assert content == document()
