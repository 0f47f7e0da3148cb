"""The prices of one deployment: over time, by service tier, and by size of the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Final, Literal

from msgspec import Struct

from proxy.pricing.dearest import DearestPrices
from proxy.pricing.rates import Rates

DAY: Final = 86_400

SheetSource = Literal["operator", "catalog"]


class Schedule(Struct, frozen=True):
    """Rates by size of the input: ``steps`` are (tokens, rates for larger inputs), the largest first.

    All tokens of a larger input have the price of its step, the output's as well. So bill Anthropic, Google and OpenAI:
    https://docs.claude.com/en/docs/about-claude/pricing, https://ai.google.dev/gemini-api/docs/pricing
    """

    base: Rates
    steps: tuple[tuple[int, Rates], ...] = ()

    def rates(self, size: int) -> Rates:
        """The rates for an input of ``size`` tokens, those of caches included."""
        for bound, rates in self.steps:
            if size > bound:
                return rates
        return self.base


class PriceRow(Struct, frozen=True):
    """Prices from ``valid_from`` on (Unix seconds).

    ``hours``: only between these seconds of the UTC day, which may be over midnight. ``tiers``: by name of the
    provider's service tier. Any other tier has the standard prices.
    """

    standard: Schedule
    tiers: Mapping[str, Schedule] = {}
    valid_from: float = -inf
    hours: tuple[int, int] | None = None

    def applies(self, at: float) -> bool:
        """Whether these prices are in force at a Unix time."""
        if at < self.valid_from:
            return False
        if self.hours is None:
            return True
        start, end = self.hours
        moment = at % DAY
        return start <= moment < end if start <= end else moment >= start or moment < end

    def changes(self, at: float) -> Iterator[float]:
        """Unix times after ``at`` at which the row may begin or end to apply."""
        if at < self.valid_from:
            yield self.valid_from
        for second in self.hours or ():
            yield at + ((second - at) % DAY or DAY)


class PriceSheet:
    """``rows``: of those in force, the last applies. ``version`` names the prices in ledger rows."""

    __slots__ = ("_only", "dearest", "rows", "source", "version")

    def __init__(self, rows: Sequence[PriceRow], source: SheetSource, version: str) -> None:
        self.rows = tuple(rows)
        self.source = source
        self.version = version
        only = self.rows[0] if len(self.rows) == 1 else None
        plain = only is not None and not (only.tiers or only.standard.steps or only.hours)
        # The usual case: one price at all times.
        self._only = only.standard.base if only is not None and plain and only.valid_from == -inf else None
        self.dearest = DearestPrices(self.rows, self._only)

    def __repr__(self) -> str:
        return f"<PriceSheet of {len(self.rows)} rows, {self.source} {self.version}>"

    def rates(self, at: float, tier: str = "", size: int = 0) -> Rates | None:
        """The rates at a Unix time for an input of ``size`` tokens; ``None``: there is no price at this time."""
        if self._only is not None:
            return self._only
        for row in reversed(self.rows):
            if row.applies(at):
                return row.tiers.get(tier, row.standard).rates(size)
        return None

    def changes_at(self, at: float) -> float:
        """The first Unix time after ``at`` at which other prices may apply; infinite: they do not change."""
        return min((moment for row in self.rows for moment in row.changes(at)), default=inf)
