"""What a condition leaves of the steps of a plan."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from proxy.routing.deployment import Deployment
from proxy.routing.lru import LruCache
from proxy.routing.strategies import Step

MOST_KEPT = 1000

K = TypeVar("K", bound=Hashable)


class Narrowing(Generic[K]):
    """Steps narrowed to the deployments that fit a key; remembered, since plans share steps and whose turn it is."""

    __slots__ = ("_fits", "_kept")

    def __init__(self, fits: Callable[[Deployment, K], bool]) -> None:
        self._fits = fits
        # The step is kept beside the result, so that its identity is not given to another.
        self._kept: LruCache[tuple[int, K], tuple[Step, Step | None]] = LruCache(MOST_KEPT)

    def of(self, steps: Iterable[Step], key: K) -> tuple[Step, ...]:
        """The steps without those that have nothing left."""
        return tuple(left for step in steps if (left := self._step(step, key)) is not None)

    def _step(self, step: Step, key: K) -> Step | None:
        found = self._kept.get((id(step), key))
        if found is None:
            found = step, step.narrowed(lambda deployment: self._fits(deployment, key))
            self._kept.put((id(step), key), found)
        return found[1]
