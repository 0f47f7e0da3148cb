"""Components in responses."""

from __future__ import annotations

import msgspec

from proxy.control.health.components import ComponentHealth
from proxy.control.health.views import component_view


def test_a_component_without_a_cause_has_no_cause() -> None:
    view = component_view(ComponentHealth(True, 1.23456, latency=0.0015))
    assert msgspec.to_builtins(view) == {"status": "up", "since": 1.235, "latencyMs": 1.5}


def test_a_component_that_partly_works_is_degraded() -> None:
    assert component_view(ComponentHealth(False, 0.0, why="1 of 2", partly=True)).status == "degraded"
    assert component_view(ComponentHealth(False, 0.0)).status == "down"
