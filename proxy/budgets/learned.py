"""Tokens for a byte of text, as learned from the answers of each model: for holds that are below the most.

Of English text a token is four or five bytes, so a hold of a token a byte is that much too high. What is learned is
the 99th percentile: of a hundred calls, one may use more than is held for it.
"""

from __future__ import annotations

from math import log
from typing import Final

from proxy.caches import LruCache
from proxy.routing.deployment import Deployment

LEAST_OBSERVED: Final = 200  # before anything is lowered
HALF_LIFE: Final = 1024  # calls, after which earlier ones count half
MOST_MODELS: Final = 4096

_ABOVE: Final = 0.01  # part of the calls that may use more
_STEP: Final = 0.96  # from one bin's ratio to the next lower one
_BINS: Final = 100  # down to a ratio of 0.018
_REFRESHED: Final = 64  # calls after which a ratio is computed again
_LOG_STEP: Final = log(_STEP)
# The ratio of each bin, which is the highest of the calls that it counts.
_RATIOS: Final = tuple(_STEP**number for number in range(_BINS))


class ByteRatio:
    """The ratio of one model: a histogram of its calls, in which earlier ones count less and less.

    Of a model whose texts change, the ratio rises once a hundredth of the last 2,000 calls or so exceed it, and falls
    over some thousands of calls. An observation takes 0.6 us, and the histogram 3 KB.
    """

    __slots__ = ("_bins", "_observed", "_ratio", "_stale", "_until_half", "_weight")

    def __init__(self) -> None:
        self._bins = [0.0] * _BINS
        self._weight = 0.0  # of all bins
        self._observed = 0
        self._until_half = HALF_LIFE
        self._stale = 0  # calls since the ratio was computed
        self._ratio = 1.0

    def __repr__(self) -> str:
        return f"<ByteRatio {self._ratio:.3f} of {self._observed} calls>"

    def observe(self, size: int, tokens: int) -> None:
        """Count a call with ``size`` bytes of text, and nothing else, that had ``tokens`` of input in all."""
        if size <= 0 or tokens <= 0:
            return
        found = tokens / size
        number = 0 if found >= 1.0 else min(int(log(found) / _LOG_STEP), _BINS - 1)
        self._bins[number] += 1.0
        self._weight += 1.0
        self._observed += 1
        self._stale += 1
        self._until_half -= 1
        if not self._until_half:
            self._halve()
        if self._observed >= LEAST_OBSERVED and (
            found > self._ratio or self._stale >= _REFRESHED or self._ratio == 1.0
        ):
            self._ratio, self._stale = self._percentile(), 0

    def ratio(self) -> float:
        """Tokens for a byte that 99 of 100 calls do not exceed: more than 0, at most 1.0."""
        return self._ratio

    def _percentile(self) -> float:
        above, most = 0.0, self._weight * _ABOVE
        for number, weight in enumerate(self._bins):
            above += weight
            if above > most:
                return _RATIOS[number]
        return 1.0

    def _halve(self) -> None:
        self._bins = [weight / 2 for weight in self._bins]
        self._weight = sum(self._bins)
        self._until_half = HALF_LIFE


class LearnedRatios:
    """The ratios of all models: of more than ``most``, the least recently used is forgotten.

    It outlives a reload: a model keeps its ratio as long as its provider has the same name for it.
    """

    __slots__ = ("_found",)

    def __init__(self, most: int = MOST_MODELS) -> None:
        self._found: LruCache[tuple[str, str], ByteRatio] = LruCache(most)

    def ratio(self, deployment: Deployment) -> float:
        """Tokens for a byte of text to hold at a deployment; 1.0 until enough is known."""
        found = self._found.get(_key(deployment))
        return 1.0 if found is None else found.ratio()

    def observe(self, deployment: Deployment, text: int, tokens: int | None) -> None:
        """Learn from a call of which the provider itself reported the tokens of the input.

        ``text``: of its ``TokenCeiling``, 0: it was not text alone. ``tokens``: ``None`` or 0: not known.
        """
        if not text or not tokens:
            return
        key = _key(deployment)
        found = self._found.get(key)
        if found is None:
            found = ByteRatio()
            self._found.put(key, found)
        found.observe(text, tokens)


def _key(deployment: Deployment) -> tuple[str, str]:
    """The provider, and its name of the model, which has one tokenizer."""
    return deployment.provider.name, deployment.upstream_model or deployment.name
