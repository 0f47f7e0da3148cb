"""Prices of genai-prices as rows of the catalog, which are those of models.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from scripts.prices.genai import Node

Row = dict[str, Any]

# The catalog's key, and what its price is for in units of genai-prices' price.
_KEYS: dict[str, tuple[str, int]] = {
    "input_mtok": ("input", 1),
    "output_mtok": ("output", 1),
    "cache_read_mtok": ("cacheRead", 1),
    "cache_write_mtok": ("cacheWrite", 1),
    "cache_write_1h_mtok": ("cacheWrite1h", 1),
    "output_reasoning_mtok": ("reasoning", 1),
    "input_audio_mtok": ("audioIn", 1),
    "output_audio_mtok": ("audioOut", 1),
    "input_image_mtok": ("imageIn", 1),
    "output_image_mtok": ("imageOut", 1),
    "requests_kcount": ("request", 1000),
    "web_searches_kcount": ("webSearch", 1000),
    "input_audio_hours": ("audioHour", 1),
    "audio_hours": ("audioHour", 1),
}
# Without these there is nothing that the gateway could price.
_NEEDED = {"input", "output", "request", "audioHour"}
_TIERS = {
    "service_tier": {"flex": "flex", "priority": "priority", "fast": "fast"},
    "processing": {"batch": "batch"},
    "speed": {"fast": "fast"},
}


def rows_of(model: Node, today: date) -> list[Row]:
    """The rows in force at a date, and those that come later; ``[]``: nothing of it can be priced."""
    conditions = model.get("prices")
    if isinstance(conditions, Node):
        conditions = [Node("ConditionalPrice", {"prices": conditions})]
    if not conditions:
        return []
    variants = model.get("price_variants") or []
    starts = sorted({start for each in [*conditions, *variants] if (start := _start(each)) is not None})
    begins = [
        max((start for start in starts if start <= today), default=None),
        *(each for each in starts if each > today),
    ]
    found: list[Row] = []
    for index, begin in enumerate(begins):
        at = begin or date.min
        dated = {"validFrom": begin.isoformat()} if begin is not None and index else {}
        rows = [
            row
            for prices, hours in _in_force(conditions, at)
            if (row := dated | _hours(hours) | _row(prices, _overrides(variants, at)))
        ]
        if not found or [_plain(row) for row in rows] != [_plain(row) for row in found[-len(rows) :]]:
            found += rows
    return found if any(_NEEDED & row.keys() for row in found) else []


def with_tier(row: Row, name: str, factor: Decimal) -> Row:
    """The row with a service tier whose tokens cost a multiple of the standard ones."""
    tier = _scaled(row, factor)
    if steps := row.get("tiers"):
        tier["tiers"] = [{"above": step["above"], **_scaled(step, factor)} for step in steps]
    return row | {"serviceTiers": {**row.get("serviceTiers", {}), name: tier}}


def _scaled(prices: Row, factor: Decimal) -> Row:
    tokens = [key for key, units in _KEYS.values() if units == 1 and key in prices and key != "audioHour"]
    return {key: _usd(Decimal(str(prices[key])) * factor, 1) for key in dict.fromkeys(tokens)}


def _plain(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "validFrom"}


def _start(condition: Node) -> date | None:
    constraint = condition.get("constraint")
    return constraint.get("start_date") if constraint is not None else None


def _in_force(conditions: list[Node], at: date) -> Iterator[tuple[Node, tuple[time, time] | None]]:
    """The prices of a day: those that hold all day, then those of certain hours. The last condition wins."""
    base = conditions[0]
    hourly: list[tuple[Node, tuple[time, time] | None]] = []
    for condition in conditions:
        constraint = condition.get("constraint")
        if constraint is not None and constraint.kind == "TimeOfDateConstraint":
            hourly.append((condition.get("prices"), (constraint.get("start_time"), constraint.get("end_time"))))
        elif (start := _start(condition)) is None or start <= at:
            base, hourly = condition, []
    yield base.get("prices"), None
    yield from hourly


def _overrides(variants: list[Node], at: date) -> dict[str, dict[str, Any]]:
    """Prices that service tiers replace, by the tier. The first variant of a price wins."""
    found: dict[str, dict[str, Any]] = {}
    for variant in variants:
        start = _start(variant)
        if start is not None and start > at:
            continue
        when = variant.get("when")
        if len(when) != 1:
            continue
        ((key, value),) = when.items()
        if name := _TIERS.get(key, {}).get(value):
            found[name] = variant.get("prices").members | found.get(name, {})
    return found


def _row(prices: Node, overrides: Mapping[str, dict[str, Any]]) -> Row:
    row = _schedule(prices.members)
    tiers = {name: tier for name, members in sorted(overrides.items()) if (tier := _schedule(members))}
    if row and tiers:
        row["serviceTiers"] = tiers
    return row


def _schedule(members: Mapping[str, Any]) -> Row:
    """Prices, and those of larger inputs."""
    base: Row = {}
    steps: dict[int, Row] = {}
    for name, price in members.items():
        if price is None or name not in _KEYS:
            continue
        key, units = _KEYS[name]
        if isinstance(price, Node):
            base[key] = _usd(price.get("base"), units)
            for tier in price.get("tiers"):
                steps.setdefault(tier.get("start"), {})[key] = _usd(tier.get("price"), units)
        else:
            base[key] = _usd(price, units)
    if steps:
        base["tiers"] = [{"above": above, **prices} for above, prices in sorted(steps.items())]
    return base


def _hours(hours: tuple[time, time] | None) -> Row:
    return {} if hours is None else {"hours": "-".join(f"{each:%H:%M}" for each in hours)}


def _usd(price: Decimal, units: int) -> float | int:
    """In whole nano-USD: some prices are fractions that never end."""
    found = (price / units).quantize(Decimal("1e-9"), ROUND_HALF_UP)
    return int(found) if found == int(found) else float(found)
