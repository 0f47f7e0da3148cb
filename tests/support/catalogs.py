"""Catalogs for tests, and their proposals."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from proxy.config.left_out import LeftOutModel
from proxy.dialects.call import AUTO
from proxy.routing.catalog import Catalog, Deployment
from proxy.routing.lists import ModelLists
from proxy.routing.live import Registry
from proxy.routing.plan import Plan
from proxy.routing.spec import Spec
from proxy.wire.criteria import NONE, Criteria
from tests.support.gateway import to_config

ENDPOINT = "chat/completions"


def build(
    models: list[dict[str, Any]],
    providers: dict[str, Any],
    *,
    registry: Registry | None = None,
    lists: ModelLists | None = None,
    left_out: Sequence[LeftOutModel] = (),
    **routing: Any,
) -> Catalog:
    """``routing`` as in the configuration (camelCase)."""
    config = to_config({"providers": providers, "models": models, "routing": routing})
    if registry is None:  # an empty one is false
        registry = Registry.of(config.circuit_breaker)
    return Catalog(config, registry, version="1", created=1_700_000_000, lists=lists, left_out=left_out)


def rivals(count: int, *settings: dict[str, Any], **routing: Any) -> Catalog:
    """One model ``m`` at ``count`` providers ``p0``, ``p1``, ...; ``settings`` are of the models, in the same order."""
    providers = {f"p{number}": {"baseUrl": f"http://127.0.0.1:{number + 1}"} for number in range(count)}
    own = [*settings, *[{}] * (count - len(settings))]
    return build([{"name": "m", "provider": f"p{n}"} | own[n] for n in range(count)], providers, **routing)


def plan_for(
    known: Catalog,
    *names: str | None,
    auto: bool = False,
    pinned: str | None = None,
    criteria: Criteria = NONE,
    affinity: bytes = b"",
    endpoint: str = ENDPOINT,
    now: float = 0.0,
    chance: random.Random | None = None,
    waited: bool = True,
) -> Plan:
    """The plan for these names, of which ``None`` and ``auto`` mean any model; ``waited`` for providers' lists."""
    named = tuple(name for name in names if name not in (None, AUTO))
    spec = Spec(named, auto or not named, criteria, endpoint, affinity, waited=waited)
    provider = None if pinned is None else known.providers[pinned]
    return known.plan(spec, provider, now, chance or random.Random(0))


def every(plan: Plan, now: float = 0.0) -> list[Deployment]:
    """All proposals of the plan, in order."""
    found = []
    while (deployment := plan.next(now)) is not None:
        found.append(deployment)
    return found
