"""The price of each class of usage."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

NANO: Final = 1_000_000_000

Fallbacks = Sequence[tuple[str, str]]
# How a class without a price of its own is billed, in this order.
# Reasoning is output: https://platform.openai.com/docs/guides/reasoning, https://ai.google.dev/gemini-api/docs/pricing
# ("including thinking tokens"), https://docs.claude.com/en/docs/build-with-claude/extended-thinking.
# What a cache gets is input, unless the provider has a price for it, as Anthropic and OpenAI since gpt-5.6 do:
# https://platform.openai.com/docs/guides/prompt-caching. What it has is input where there is no discount.
# Sound and images are tokens of their side where a page lists one price: https://ai.google.dev/gemini-api/docs/pricing
FALLBACKS: Final = (
    ("reasoning", "output"),
    ("cache_read", "input"),
    ("cache_write", "input"),
    ("cache_write_1h", "cache_write"),
    ("audio_in", "input"),
    ("audio_out", "output"),
    ("image_in", "input"),
    ("image_out", "output"),
)
# OpenAI's audio tokens cost 10 to 70 times those of text: https://platform.openai.com/docs/pricing
FALLBACKS_WITHOUT_AUDIO: Final = tuple(pair for pair in FALLBACKS if not pair[0].startswith("audio"))


class Rates(Struct, frozen=True, gc=False):
    """Nano-USD for a million tokens of each class, as in ``Usage`` and ``UsageDetails``.

    ``image``, ``request``, ``web_search``: for one. ``audio_hour``: for an hour of audio where duration is billed.
    ``None``: it has no price; 0: it is free.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    image_in: int | None = None
    image_out: int | None = None
    image: int | None = None
    request: int | None = None
    audio_hour: int | None = None
    web_search: int | None = None


def rates_of(prices: dict[str, int], fallbacks: Fallbacks = FALLBACKS) -> Rates:
    """Rates from the given prices by field name, with the ``fallbacks`` for those that are missing."""
    found = dict(prices)
    for name, fallback in fallbacks:
        if name not in found and fallback in found:
            found[name] = found[fallback]
    return Rates(**found)


def in_usd(rates: Rates) -> dict[str, float]:
    """The prices in USD for views, by the configuration's keys; those that are not known are left out."""
    found = {}
    for name, price in asdict(rates).items():
        if price is not None:
            first, *rest = name.split("_")
            found[first + "".join(map(str.capitalize, rest))] = float(Decimal(price) / NANO)
    return found
