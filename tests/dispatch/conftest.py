from __future__ import annotations

import pytest


@pytest.fixture
def _quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0.02)
