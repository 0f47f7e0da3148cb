"""The configuration's shape: prices of a model."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType, field

from proxy.config.types import Hours, Moment, Name, PositiveInt, Price, Section

NANO_DIGITS: Final = 9


class ClassPrices(Section, frozen=True, kw_only=True):
    """USD for a million tokens of each class. Unset: as ``proxy.pricing.rates.FALLBACKS`` has it.

    ``image``, ``request``, ``web_search``: USD for one. ``audio_hour``: for an hour of audio that is transcribed.
    """

    input: Price | UnsetType = UNSET
    output: Price | UnsetType = UNSET
    cache_read: Price | UnsetType = UNSET
    cache_write: Price | UnsetType = UNSET
    cache_write_1h: Price | UnsetType = field(default=UNSET, name="cacheWrite1h")
    reasoning: Price | UnsetType = UNSET
    audio_in: Price | UnsetType = UNSET
    audio_out: Price | UnsetType = UNSET
    image_in: Price | UnsetType = UNSET
    image_out: Price | UnsetType = UNSET
    image: Price | UnsetType = UNSET
    request: Price | UnsetType = UNSET
    audio_hour: Price | UnsetType = UNSET
    web_search: Price | UnsetType = UNSET

    @property
    def given(self) -> dict[str, float]:
        """The prices that are set, by field name."""
        found = ((name, getattr(self, name)) for name in ClassPrices.__struct_fields__)
        return {name: price for name, price in found if price is not UNSET}


class ContextPrices(ClassPrices, frozen=True, kw_only=True):
    """Prices of all tokens once the input has more than ``above``. Unset: those of smaller inputs."""

    above: PositiveInt


class TierPrices(ClassPrices, frozen=True, kw_only=True):
    """Prices by size of the input."""

    tiers: list[ContextPrices] = []


class ModelPrices(TierPrices, frozen=True, kw_only=True):
    """Prices from ``valid_from`` on, for the standard service tier and for others.

    ``hours``: only between these times of the day, in UTC. Of rows that apply, the one with the latest ``valid_from``
    does, and the one with hours before the one without.
    """

    valid_from: Moment = ""  # ISO 8601; "": always
    hours: Hours = ""  # 22:30-04:00; "": all day
    service_tiers: dict[Name, TierPrices] = {}


# One row, or one for each change.
PriceRows = Annotated[list[ModelPrices], Meta(extra={"one_or_more": True})]


def nano(price: float) -> int:
    """A price in USD as nano-USD. No digit is lost of one that ``is_exact``."""
    return int(Decimal(repr(price)).scaleb(NANO_DIGITS))


def is_exact(price: float) -> bool:
    """Whether a price in USD is a whole number of nano-USD."""
    return Decimal(repr(price)).scaleb(NANO_DIGITS) == nano(price)
