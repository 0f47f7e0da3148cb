"""Rows for tests."""

from __future__ import annotations

from proxy.ledger.row import Row

ROW = Row(
    "a1", 1.5, "r", 1, "chat/completions", True, "openai.chat", "openai.chat", "m", "p", "p/m", "up",
    owner="o", labels={"a": "b"}, input=1001, output=3, cost_source="operator",
)  # fmt: skip
