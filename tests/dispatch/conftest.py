from __future__ import annotations

import pytest


@pytest.fixture
def _quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.app.PING_EVERY", 0.02)
