"""Health of the receivers of events, as the recorder tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from proxy.control.health.components import ComponentHealth, ComponentState
from proxy.ledger.recorder.status import RecorderStatus


class SendingRecorder(Protocol):
    """``RecorderChild``. Its ``state`` is ``None`` while no recorder works."""

    @property
    def state(self) -> ComponentState | None: ...

    @property
    def status(self) -> RecorderStatus | None: ...


class EventsHealth:
    """``configured``: whether there are receivers now. Down if none of them takes events, degraded if some do not."""

    def __init__(self, recorder: SendingRecorder | None, configured: Callable[[], bool]) -> None:
        self._recorder = recorder
        self._configured = configured

    @property
    def state(self) -> ComponentHealth | None:
        """``None``: there are no receivers, or no recorder works, which is a component of its own."""
        if self._recorder is None or not self._configured() or self._recorder.state is None:
            return None
        status = self._recorder.status
        if status is None or not status.receivers:
            return None
        failing = [each for each in status.receivers if not each.up]
        if not failing:
            return ComponentHealth(True, max(each.since for each in status.receivers))
        # Without their names: they have hosts in them, and this is open to everyone.
        verb = "takes" if len(failing) == 1 else "take"
        why = f"{len(failing)} of {len(status.receivers)} receivers {verb} no events; see the page Events"
        partly = len(failing) < len(status.receivers)
        return ComponentHealth(False, max(each.since for each in failing), why=why, partly=partly)
