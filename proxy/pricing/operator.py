"""Rows of prices, compiled; and those that the operator has for a model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from math import inf
from typing import Final

import msgspec
from msgspec import UNSET

from proxy.config.price_schema import ModelPrices, TierPrices, nano
from proxy.config.provider_schema import ModelSettings
from proxy.pricing.rates import FALLBACKS, Fallbacks, rates_of
from proxy.pricing.sheet import PriceRow, PriceSheet, Schedule

_VERSION_DIGITS: Final = 12


def operator_sheet(model: ModelSettings) -> PriceSheet | None:
    """The sheet of a model; ``None``: its configuration has no price. Its version is a hash of the prices."""
    rows = _rows(model)
    if not rows:
        return None
    digest = sha256(msgspec.json.encode(rows)).hexdigest()[:_VERSION_DIGITS]
    return PriceSheet(compiled(rows), "operator", digest)


def compiled(rows: Sequence[ModelPrices], fallbacks: Fallbacks = FALLBACKS) -> list[PriceRow]:
    """The rows in the order of ``PriceSheet``: by date, and those of certain hours after the others of the date."""
    return sorted((_row(each, fallbacks) for each in rows), key=lambda row: (row.valid_from, row.hours is not None))


def _rows(model: ModelSettings) -> list[ModelPrices]:
    if model.prices is not UNSET:
        return model.prices
    if model.input_price is UNSET and model.output_price is UNSET:
        return []
    return [ModelPrices(input=model.input_price, output=model.output_price)]


def _row(row: ModelPrices, fallbacks: Fallbacks) -> PriceRow:
    base = _nano(row.given)
    tiers = {name: _schedule(tier, base, row, fallbacks) for name, tier in row.service_tiers.items()}
    start = _moment(row.valid_from) if row.valid_from else -inf
    hours = (_second(row.hours[:5]), _second(row.hours[6:])) if row.hours else None
    return PriceRow(_schedule(row, {}, row, fallbacks), tiers, start, hours)


def _moment(text: str) -> float:
    """Unix seconds of a time. A date, which only a catalog has here, is midnight in UTC."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _second(text: str) -> int:
    """Second of the day of a time such as 22:30."""
    return int(text[:2]) * 3600 + int(text[3:]) * 60


def _schedule(prices: TierPrices, standard: dict[str, int], row: ModelPrices, fallbacks: Fallbacks) -> Schedule:
    """``standard``: the row's prices where ``prices`` are those of a service tier.

    A service tier's own price is for inputs of all sizes, unless the tier has steps itself.
    """
    own = _nano(prices.given)
    bounds = {tier.above for tier in (*row.tiers, *prices.tiers)}
    steps = []
    for bound in sorted(bounds, reverse=True):
        found = standard | _above(row, bound) | own | _above(prices, bound)
        steps.append((bound, rates_of(found, fallbacks)))
    return Schedule(rates_of(standard | own, fallbacks), tuple(steps))


def _above(prices: TierPrices, bound: int) -> dict[str, int]:
    """The prices of inputs larger than ``bound``, as far as the steps up to it set them."""
    found: dict[str, int] = {}
    for step in sorted(prices.tiers, key=lambda step: step.above):
        if step.above <= bound:
            found |= _nano(step.given)
    return found


def _nano(prices: dict[str, float]) -> dict[str, int]:
    return {name: nano(price) for name, price in prices.items()}
