"""The row of an attempt whose gateway died before it settled it."""

from __future__ import annotations

from typing import Literal

from msgspec import structs

from proxy.database.columns import LOST
from proxy.ledger.row import Opened, Row

MILLION = 1_000_000


def lost(opened: Opened, policy: Literal["estimate", "zero"]) -> Row:
    """The row to insert. ``zero``: as if nothing had been used, still marked as lost."""
    row = opened.row
    if policy == "zero":
        return structs.replace(row, end=LOST, usage_source="estimated", input=0, output=0, cost=0, cost_source="none")
    tokens_in, tokens_out = _tokens(opened)
    cost = _cost(opened, tokens_in, tokens_out)
    source = row.cost_source if cost is not None else "unpriced"
    return structs.replace(
        row,
        end=LOST,
        usage_source="estimated",
        input=tokens_in,
        output=tokens_out,
        cost=cost,
        cost_source=source,
    )


def _tokens(opened: Opened) -> tuple[int, int]:
    """Tokens of the input and of the output, together at most what was held."""
    tokens_in, tokens_out, held = opened.row.input or 0, opened.row.output or 0, opened.held_tokens
    if held is None:
        return tokens_in, tokens_out
    tokens_in = min(tokens_in, held)
    return tokens_in, min(tokens_out, held - tokens_in)


def _cost(opened: Opened, tokens_in: int, tokens_out: int) -> int | None:
    """Nano-USD, rounded half up as ``proxy.pricing.rating`` does, and at most what was held."""
    total = (opened.request_price or 0) * MILLION
    for tokens, price in ((tokens_in, opened.input_price), (tokens_out, opened.output_price)):
        if tokens:
            if price is None:
                return None
            total += tokens * price
    cost = (total + MILLION // 2) // MILLION
    return cost if opened.held_cost is None else min(cost, opened.held_cost)
