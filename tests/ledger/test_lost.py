"""Attempts whose gateway died."""

from __future__ import annotations

import pytest
from msgspec import structs

from proxy.ledger.lost import lost
from proxy.ledger.row import Opened
from tests.ledger.rows import ROW


def test_a_lost_attempt_costs_what_it_was_estimated_to_use() -> None:
    row = lost(Opened(ROW, input_price=2_500_000_000, output_price=10_000_000_500), "estimate")
    assert (row.end, row.usage_source, row.input, row.output) == ("lost", "estimated", 1001, 3)
    assert row.cost == 1001 * 2500 + 3 * 10_000  # 0.0015 nano-USD are rounded
    assert row.cost_source == "operator"


def test_half_a_nano_dollar_is_rounded_up() -> None:
    opened = Opened(structs.replace(ROW, input=1, output=0), input_price=500_000, output_price=None)
    assert lost(opened, "estimate").cost == 1


def test_without_a_price_a_lost_attempt_is_unpriced_and_not_free() -> None:
    row = lost(Opened(ROW, input_price=1, output_price=None), "estimate")
    assert (row.cost, row.cost_source) == (None, "unpriced")


def test_the_price_of_a_request_is_part_of_the_cost() -> None:
    opened = Opened(ROW, input_price=1_000_000, output_price=2_000_000, request_price=5)
    assert lost(opened, "estimate").cost == 1001 + 3 * 2 + 5


def test_it_never_costs_more_than_its_budgets_held() -> None:
    row = lost(Opened(ROW, 1_000_000, 2_000_000, held_cost=1000), "estimate")
    assert (row.input, row.output, row.cost, row.cost_source) == (1001, 3, 1000, "operator")
    assert lost(Opened(ROW, 1_000_000, 2_000_000, held_cost=10**9), "estimate").cost == 1001 + 3 * 2


@pytest.mark.parametrize(
    ("held", "tokens"), [(2000, (1001, 3)), (1004, (1001, 3)), (1003, (1001, 2)), (1001, (1001, 0)), (7, (7, 0))]
)
def test_it_never_uses_more_tokens_than_its_budgets_held(held: int, tokens: tuple[int, int]) -> None:
    row = lost(Opened(ROW, 1_000_000, 2_000_000, held_tokens=held), "estimate")
    assert (row.input, row.output) == tokens
    assert row.cost == tokens[0] + tokens[1] * 2


def test_what_is_held_is_no_price() -> None:
    row = lost(Opened(ROW, held_tokens=2000, held_cost=0), "estimate")
    assert (row.cost, row.cost_source) == (None, "unpriced")


def test_lost_attempts_can_count_as_nothing() -> None:
    row = lost(Opened(ROW, input_price=1, output_price=1), "zero")
    assert (row.end, row.input, row.output, row.cost, row.cost_source) == ("lost", 0, 0, 0, "none")
