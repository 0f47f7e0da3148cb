"""Which deployments satisfy a client's criteria, remembered per step.

What changes from request to request (breakers, load, ``min_success_rate``) is not here, it is the plan's affair.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from proxy.errors import ClientFault
from proxy.routing.deployment import Deployment
from proxy.routing.lru import LruCache
from proxy.routing.strategies import LowestLatency, Step
from proxy.wire.criteria import NONE, Criteria

MOST_KEPT = 256


def _has_tags(deployment: Deployment, criteria: Criteria) -> bool:
    return deployment.model is not None and set(criteria.tags) <= set(deployment.model.tags)


def _is_type(deployment: Deployment, criteria: Criteria) -> bool:
    """``fast`` is a type that a model may have, and a speed tier too."""
    model = deployment.model
    return model is not None and (model.kind == criteria.type or criteria.type == "fast" == model.speed_tier)


def _is_large(deployment: Deployment, criteria: Criteria) -> bool:
    return deployment.context_size >= criteria.min_context_size


def _gives_json(deployment: Deployment, criteria: Criteria) -> bool:
    return deployment.model is not None and deployment.model.json_response


# Field by field; of a model that is not configured nothing is known, so it satisfies none.
FILTERS: dict[str, Callable[[Deployment, Criteria], bool]] = {
    "type": _is_type,
    "tags": _has_tags,
    "min_context_size": _is_large,
    "json_response": _gives_json,
}


class _Wanted(Struct, frozen=True):
    """One step as these criteria have it."""

    step: int  # by identity
    criteria: Criteria


class Selection:
    """Makes of a step what the criteria leave of it."""

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        self._sizes = sorted({deployment.context_size for deployment in deployments})
        # The step itself is kept beside what was made of it, so that its identity is not given to another.
        self._kept: LruCache[_Wanted, tuple[Step, Step | None]] = LruCache(MOST_KEPT)

    def of(self, steps: Sequence[Step], criteria: Criteria) -> tuple[Step, ...]:
        """The steps without those that have nothing left."""
        criteria = self._general(criteria)
        if criteria == NONE:
            return tuple(steps)
        return tuple(kept for step in steps if (kept := self._step(step, criteria)) is not None)

    def _general(self, criteria: Criteria) -> Criteria:
        """The same wishes in the words of this catalog, so that few different ones are left to be remembered."""
        sizes, size = self._sizes, criteria.min_context_size
        if size:
            place = bisect_left(sizes, size)
            size = sizes[place] if place < len(sizes) else (sizes[-1] + 1 if sizes else 1)
        return Criteria(criteria.tags, criteria.type, size, criteria.json_response, criteria.prefer_fast)

    def _step(self, step: Step, criteria: Criteria) -> Step | None:
        wanted = _Wanted(id(step), criteria)
        found = self._kept.get(wanted)
        if found is None:
            found = step, _narrowed(step, criteria)
            if found[1] is not None:  # who wishes the impossible finds no room here
                self._kept.put(wanted, found)
        return found[1]


def _narrowed(step: Step, criteria: Criteria) -> Step | None:
    kept = _satisfying(step.deployments, criteria)
    if not kept:
        return None
    kind = LowestLatency if criteria.prefer_fast else type(step)
    return step if kind is type(step) and len(kept) == len(step.deployments) else kind(kept)


def _satisfying(deployments: Sequence[Deployment], criteria: Criteria) -> Sequence[Deployment]:
    for field, satisfies in FILTERS.items():
        if getattr(criteria, field):
            deployments = [deployment for deployment in deployments if satisfies(deployment, criteria)]
    return deployments


def nothing_left(steps: Iterable[Step], criteria: Criteria) -> ClientFault:
    """The 404 that names the criterion which left nothing of the steps."""
    left: Sequence[Deployment] = [deployment for step in steps for deployment in step.deployments]
    for field, satisfies in FILTERS.items():
        if getattr(criteria, field):
            left = [deployment for deployment in left if satisfies(deployment, criteria)]
        if not left:
            break
    return no_match(field, getattr(criteria, field))


def no_match(field: str, wish: object) -> ClientFault:
    """The 404 for a criterion that leaves nobody."""
    text = ", ".join(map(repr, wish)) if isinstance(wish, tuple) else str(wish).lower()
    return ClientFault(
        f"No model matches: {field!r} ({text}) leaves none of those that were asked for.",
        status=404,
        param=field,
        code="no_model_matches",
    )
