"""What the ten providers charge. Costs are computed apart from ``proxy.pricing``."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

PROVIDERS = 10
ANTHROPIC = (7, 8)  # these speak messages, the others OpenAI's dialects
REPORTING = 9  # has no price, and reports what it billed

MILLION = 1_000_000


class Tokens(NamedTuple):
    """No token is in two classes."""

    input: int
    cached: int
    cache_write: int
    output: int
    reasoning: int


# Decimal USD for a million tokens, by the classes of ``Tokens``. The last digits are nano-dollars.
_LIST = (
    ("0.15", "0.075", "0.15", "0.6", "0.6"),
    ("2.5", "1.25", "2.5", "10", "10"),
    ("0.1", "0.025", "0.1", "0.4", "3.5"),
    ("0.000010007", "0.000000001", "0.000010007", "0.000020003", "0.000030001"),
    ("1.333333333", "0.333333333", "1.333333333", "6.666666667", "6.666666667"),
    ("15", "7.5", "15", "60", "60"),
    ("0", "0", "0", "0", "0"),
    ("3", "0.3", "3.75", "15", "15"),
    ("0.8", "0.08", "1", "4", "4"),
)
_NAMES = ("input", "cacheRead", "cacheWrite", "output", "reasoning")
_NANO = [[int(Decimal(price) * 10**9) for price in prices] for prices in _LIST]


def name_of(provider: int) -> str:
    return f"p{provider}"


def prices_of(provider: int) -> dict[str, float] | None:
    """Its prices as the configuration has them; ``None``: it reports its costs."""
    return None if provider == REPORTING else dict(zip(_NAMES, map(float, _LIST[provider]), strict=True))


def cost_of(provider: int, tokens: Tokens) -> int:
    """Nano-USD, rounded half up once."""
    if provider == REPORTING:
        return sum(tokens) * 31 + 7
    total = sum(count * price for count, price in zip(tokens, _NANO[provider], strict=True))
    return (total + MILLION // 2) // MILLION
