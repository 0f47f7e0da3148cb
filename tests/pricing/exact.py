"""The price of usage in exact fractions, as the model that the rating is compared with."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from msgspec import UNSET

from proxy.dialects.usage import Usage
from proxy.pricing.rates import Rates

_HOUR_MS = 3_600_000


def exact(rates: Rates, usage: Usage) -> int | None:
    """Nano-USD; ``None``: there is no count, or one without a price."""
    million = Fraction(1, 1_000_000)
    counts = [
        (usage.input, rates.input, million),
        (usage.cache_read, rates.cache_read, million),
        (usage.output, rates.output, million),
        (usage.reasoning, rates.reasoning, million),
    ]
    if usage.details is not UNSET:
        details = usage.details
        counts += [
            (details.cache_write, rates.cache_write, million),
            (details.cache_write_1h, rates.cache_write_1h, million),
            (details.audio_input, rates.audio_in, million),
            (details.audio_output, rates.audio_out, million),
            (details.image_input, rates.image_in, million),
            (details.image_output, rates.image_out, million),
            (details.audio_ms, rates.audio_hour, Fraction(1, _HOUR_MS)),
            (details.web_searches, rates.web_search, Fraction(1)),
        ]
    known = [(count, price, unit) for count, price, unit in counts if count is not None]
    if not known or any(count and price is None for count, price, _ in known):
        return None
    total = sum((count * Fraction(price or 0) * unit for count, price, unit in known), Fraction(rates.request or 0))
    return floor(total + Fraction(1, 2))
