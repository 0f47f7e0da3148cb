"""What the storm's providers bill: tokens for each request, and their cost by the list of the configuration.

The cost is computed apart from ``proxy.pricing``, with fractions, and rounded once.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from msgspec import Struct

# Decimal USD for a million tokens: input, read from a cache, output, reasoning. Other providers are unpriced.
PRICES = {
    "one": ("0.15", "0.0375", "0.6", "0.7"),
    "two": ("3.333333333", "0.000000001", "15.000000007", "15.000000007"),
    "healthy": ("2.5", "1.25", "10", "10"),
}
NAMES = ("input", "cacheRead", "output", "reasoning")


class Tokens(Struct, frozen=True):
    """No token is in two classes. ``None``: a class that the provider does not report."""

    input: int | None
    cached: int | None
    output: int | None
    reasoning: int | None


class Bill(Struct, frozen=True):
    """``cost``: nano-USD; ``None``: unpriced."""

    tokens: Tokens
    cost: int | None


def prices_of(provider: str) -> dict[str, float]:
    """The list as ``prices`` of a model."""
    return {name: float(price) for name, price in zip(NAMES, PRICES[provider], strict=True)}


def tokens_of(path: str, number: int) -> Tokens:
    """What the ``number``-th request to all providers uses."""
    dice = random.Random(number)
    prompt = dice.randint(0, 300_000)
    if path == "embeddings":
        return Tokens(prompt, None, None, None)
    cached, reasoning = dice.choice([0, prompt, dice.randint(0, prompt)]), dice.randint(0, 900)
    return Tokens(prompt - cached, cached, dice.randint(0, 20_000), reasoning)


def usage_of(path: str, tokens: Tokens) -> dict[str, Any]:
    """The ``usage`` of an answer, as OpenAI reports it."""
    prompt, completion = (tokens.input or 0) + (tokens.cached or 0), (tokens.output or 0) + (tokens.reasoning or 0)
    if path == "embeddings":
        return {"prompt_tokens": prompt, "total_tokens": prompt}
    total, read, written = prompt + completion, {"cached_tokens": tokens.cached}, {"reasoning_tokens": tokens.reasoning}
    if path == "responses":
        counts = {"input_tokens": prompt, "output_tokens": completion, "total_tokens": total}
        return counts | {"input_tokens_details": read, "output_tokens_details": written}
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return counts | {"prompt_tokens_details": read, "completion_tokens_details": written}


def cost_of(provider: str, tokens: Tokens) -> int | None:
    """Nano-USD, rounded half up; ``None``: unpriced."""
    if provider not in PRICES:
        return None
    counts = (tokens.input, tokens.cached, tokens.output, tokens.reasoning)
    usd = sum((n or 0) * Fraction(price) / 1_000_000 for n, price in zip(counts, PRICES[provider], strict=True))
    return int(usd * 10**9 + Fraction(1, 2))
