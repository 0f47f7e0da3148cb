"""Live state of the deployments of a running gateway, and a check for leaks."""

from __future__ import annotations

from proxy.routing.deployment import Deployment
from proxy.routing.live import LiveState
from tests.support.gateway import Gateway
from tests.support.patience import until


def live(gw: Gateway, label: str) -> LiveState:
    """Live state of the deployment ``provider/name`` (``provider/name#2`` where the provider has several addresses)."""
    return deployment_of(gw, label).live


def deployment_of(gw: Gateway, label: str) -> Deployment:
    """The deployment with this name."""
    assert gw.app.gateway is not None
    catalog = gw.app.gateway.catalog
    found = {deployment.label: deployment for deployment in [*catalog.deployments, *catalog.fallback]}
    return found[label]


async def at_rest(gw: Gateway) -> None:
    """Wait until every exchange is settled, and check that no probe, connection or buffer is held."""
    gateway = gw.app.gateway
    assert gateway is not None
    context = gateway._context
    await until(lambda: not gw.app.metrics.in_flight, "the exchanges to be settled")
    await until(lambda: not context.budget.used, f"{context.budget.used} bytes to be given back")
    await until(lambda: _idle(gw) == len(context.pool), f"leased connections of {context.pool!r}")
    assert [each for each in gw.app.running.registry if each.in_flight or each.breaker.active_probe] == []
    assert gw.app.metrics.in_flight == 0


def _idle(gw: Gateway) -> int:
    assert gw.app.gateway is not None
    return sum(len(group.idle) for group in gw.app.gateway._context.pool._groups.values())
