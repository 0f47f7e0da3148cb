"""The dearest prices that a call can reach: over classes of tokens, sizes of the input, service tiers, and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from proxy.pricing.rates import Rates

if TYPE_CHECKING:
    from proxy.pricing.sheet import PriceRow

# What a call can reach beyond text, as bits: a cache that keeps for an hour or longer, and other kinds of content.
LONG_CACHE: Final = 1
AUDIO_IN: Final = 2
IMAGE_IN: Final = 4
AUDIO_OUT: Final = 8

# An attempt may begin this many seconds after its price was looked up, so prices that come into force soon count.
SOON: Final = 60.0

# Images are always reached: a model that makes them does so unasked, and for others the class costs what text does.
_INPUT: Final = (
    *((0, "input"), (0, "cache_read"), (0, "cache_write"), (LONG_CACHE, "cache_write_1h")),
    *((AUDIO_IN, "audio_in"), (IMAGE_IN, "image_in")),
)
_OUTPUT: Final = ((0, "output"), (0, "reasoning"), (0, "image_out"), (AUDIO_OUT, "audio_out"))


class DearestRates(Struct, frozen=True, gc=False):
    """Nano-USD: for a million tokens of input and of output, for one request, image and hour of audio.

    ``None``: there is no price.
    """

    input: int | None
    output: int | None
    request: int
    image: int | None
    audio_hour: int | None


class DearestPrices:
    """The dearest rates of one sheet, each computed once for the time in which it holds.

    ``plain``: those of a call of text, where they are always the same; ``None``: they vary. ``tiers``: names of the
    service tiers. ``long_cache``: whether it costs more to keep a cache for an hour; ``speech``: whether speech costs
    more than text. ``varied``: any of these three matters.
    """

    __slots__ = ("_bounds", "_found", "_rows", "long_cache", "plain", "speech", "tiers", "varied")

    def __init__(self, rows: Sequence[PriceRow], only: Rates | None) -> None:
        self._rows = rows
        schedules = [schedule for row in rows for schedule in (row.standard, *row.tiers.values())]
        self._bounds = sorted({bound for schedule in schedules for bound, _ in schedule.steps})
        self.plain = None if only is None else _dearest([only], 0)
        self.tiers = frozenset(name for row in rows for name in row.tiers)
        prices = [rates for schedule in schedules for rates in (schedule.base, *(more for _, more in schedule.steps))]
        self.long_cache = any((rates.cache_write_1h or 0) > (rates.cache_write or 0) for rates in prices)
        self.speech = any((rates.audio_out or 0) > (rates.output or 0) for rates in prices)
        self.varied = self.long_cache or self.speech or bool(self.tiers)
        # By what is reached; with the first moment at which the rates hold, and the first at which they do not.
        self._found: dict[tuple[int, tuple[str, ...], int], tuple[float, float, DearestRates | None]] = {}

    def rates(self, at: float, size: int, reach: int = 0, tiers: tuple[str, ...] = ()) -> DearestRates | None:
        """For an attempt that begins at ``at`` (Unix seconds) or soon after, with an input of at most ``size`` tokens.

        ``tiers``: of ``self.tiers``, those that the call names; the provider may serve it at the standard one all the
        same. ``None``: there is no price.
        """
        steps = 0
        for bound in self._bounds:
            if size > bound:
                steps += 1
        key = reach, tiers, steps
        found = self._found.get(key)
        if found is None or not found[0] <= at < found[1]:
            found = self._found[key] = self._at(at, size, reach, tiers)
        return found[2]

    def _at(self, at: float, size: int, reach: int, tiers: tuple[str, ...]) -> tuple[float, float, DearestRates | None]:
        """The rates, and from when to when they hold."""
        changes = min((moment for row in self._rows for moment in row.changes(at)), default=inf)
        found = list(self._reached(at, size, tiers))
        if not found:
            return at, changes, None
        if changes - at > SOON:
            return at, changes - SOON, _dearest(found, reach)
        return at, changes, _dearest([*found, *self._reached(changes, size, tiers)], reach)

    def _reached(self, at: float, size: int, tiers: tuple[str, ...]) -> Iterator[Rates]:
        """The rates of all schedules and steps that an input of at most ``size`` tokens may have."""
        row = next((row for row in reversed(self._rows) if row.applies(at)), None)
        if row is None:
            return
        for schedule in (row.standard, *(row.tiers[name] for name in tiers if name in row.tiers)):
            yield schedule.base
            yield from (rates for bound, rates in schedule.steps if size > bound)


def _dearest(rates: Iterable[Rates], reach: int) -> DearestRates:
    found = list(rates)
    return DearestRates(
        _most(found, [name for bit, name in _INPUT if not bit or reach & bit]),
        _most(found, [name for bit, name in _OUTPUT if not bit or reach & bit]),
        _most(found, ["request"]) or 0,
        _most(found, ["image"]),
        _most(found, ["audio_hour"]),
    )


def _most(rates: Iterable[Rates], names: Iterable[str]) -> int | None:
    """The highest price of these classes; ``None``: none has a price."""
    prices = (getattr(each, name) for each in rates for name in names)
    return max((price for price in prices if price is not None), default=None)
