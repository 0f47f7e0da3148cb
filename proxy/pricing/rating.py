"""Rating: from usage to a cost. The only function that does it, so that no two views disagree."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from proxy.dialects.usage import Usage, UsageDetails
from proxy.pricing.cost import UNPRICED, RatedCost
from proxy.pricing.rates import Rates
from proxy.pricing.sheet import PriceSheet

_MILLION: Final = 1_000_000
_HALF: Final = 500_000
# Tokens are priced by the million, and milliseconds of audio by the hour: the least common denominator of both, and
# the weight of each over it.
_COMMON: Final = 18_000_000
_TOKEN: Final = _COMMON // _MILLION
_MILLISECOND: Final = _COMMON // 3_600_000


def rate(sheet: PriceSheet | None, usage: Usage, at: float, tier: str = "") -> RatedCost:
    """What usage cost that began at ``at`` (Unix seconds).

    The operator's prices come before the cost that the provider reported, and this before the catalog's prices. A cost
    is rounded once, half up. Counts that are not known are 0, so the caller must know whether they are. Usage without
    any count, with a class that has no price, or with a part of another model, is unpriced.

    ``tier``: the service tier where the answer does not name it. It is not the one that a client requested of an
    answer that was read: a provider may serve another, which is what it bills.
    """
    details = usage.details
    if details is not UNSET:
        return _detailed(sheet, usage, details, at, tier)
    input_, cached, output, reasoning = usage.input, usage.cache_read, usage.output, usage.reasoning
    if sheet is None or (input_ is None and output is None):
        return UNPRICED
    rates = sheet.rates(at, tier, (input_ or 0) + (cached or 0))
    if rates is None:
        return UNPRICED
    found = (rates.request or 0) * _MILLION
    if input_:
        if rates.input is None:
            return UNPRICED
        found += input_ * rates.input
    if cached:
        if rates.cache_read is None:
            return UNPRICED
        found += cached * rates.cache_read
    if output:
        if rates.output is None:
            return UNPRICED
        found += output * rates.output
    if reasoning:
        if rates.reasoning is None:
            return UNPRICED
        found += reasoning * rates.reasoning
    return RatedCost((found + _HALF) // _MILLION, sheet.source, sheet.version)


def priced_at(sheet: PriceSheet | None, at: float, tier: str = "", size: int = 0) -> Rates | None:
    """The prices in force at ``at`` (Unix seconds) for an input of ``size`` tokens; ``None``: there are none."""
    return None if sheet is None else sheet.rates(at, tier, size)


def _detailed(sheet: PriceSheet | None, usage: Usage, details: UsageDetails, at: float, tier: str) -> RatedCost:
    reported = details.reported_cost
    if sheet is None or details.other_models or (reported is not None and sheet.source != "operator"):
        found = None
    else:
        rates = sheet.rates(at, details.service_tier or tier, usage.total_input or 0)
        found = None if rates is None else _total(rates, usage, details)
    if found is not None and sheet is not None:
        return RatedCost(found, sheet.source, sheet.version)
    return UNPRICED if reported is None else RatedCost(reported, "provider")


def _total(rates: Rates, usage: Usage, details: UsageDetails) -> int | None:
    """Nano-USD; ``None`` if there is no count, or one without a price.

    With a price for an image, this is what an image costs, and tokens of which the sheet has no price are free.
    """
    by_image = rates.image is not None and details.images is not None
    counted = (
        (usage.input, rates.input, _TOKEN),
        (usage.cache_read, rates.cache_read, _TOKEN),
        (usage.output, rates.output, _TOKEN),
        (usage.reasoning, rates.reasoning, _TOKEN),
        (details.cache_write, rates.cache_write, _TOKEN),
        (details.cache_write_1h, rates.cache_write_1h, _TOKEN),
        (details.audio_input, rates.audio_in, _TOKEN),
        (details.audio_output, rates.audio_out, _TOKEN),
        (details.image_input, rates.image_in, _TOKEN),
        (None if by_image else details.image_output, rates.image_out, _TOKEN),
        (details.images if by_image else None, rates.image, _COMMON),
        (details.audio_ms, rates.audio_hour, _MILLISECOND),
        (details.web_searches, rates.web_search, _COMMON),
    )
    found, known = (rates.request or 0) * _COMMON, False
    for count, price, parts in counted:
        if count is None:
            continue
        known = True
        if price is not None:
            found += count * price * parts
        elif count and not by_image:
            return None
    return (found + _COMMON // 2) // _COMMON if known else None
