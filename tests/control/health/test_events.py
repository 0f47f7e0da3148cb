"""Health of the receivers of events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from proxy.control.health.components import ComponentHealth, states_of
from proxy.control.health.events import EventsHealth
from proxy.events.sending.status import ReceiverStatus
from proxy.ledger.recorder.status import RecorderStatus

UP, DOWN = ReceiverStatus("broker", True, 5.0), ReceiverStatus("webhook:a:1", False, 7.0, error="status 500")


def health(*receivers: ReceiverStatus, configured: bool = True, works: bool = True) -> ComponentHealth | None:
    status = RecorderStatus(1, 1.0, 2.0, True, 1.0, receivers=receivers)
    recorder: Any = SimpleNamespace(state=ComponentHealth(True, 1.0) if works else None, status=status)
    return EventsHealth(recorder, lambda: configured).state


@pytest.mark.parametrize(
    ("receivers", "status", "since", "why"),
    [
        ((UP,), "up", 5.0, ""),
        ((UP, DOWN), "degraded", 7.0, "1 of 2 receivers takes no events; see the page Events"),
        ((DOWN,), "down", 7.0, "1 of 1 receivers takes no events; see the page Events"),
    ],
)
def test_what_receivers_say(receivers: tuple[ReceiverStatus, ...], status: str, since: float, why: str) -> None:
    found = health(*receivers)
    assert found is not None
    assert (found.status, found.since, found.why, found.vital) == (status, since, why, False)
    assert "webhook" not in found.why


def test_it_is_no_component_where_nothing_is_sent() -> None:
    assert health(DOWN, configured=False) is None
    assert health(DOWN, works=False) is None
    assert health() is None
    assert EventsHealth(None, lambda: True).state is None
    assert states_of(events=EventsHealth(None, lambda: True)) == {}
