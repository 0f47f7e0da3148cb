"""The neutral request: what an empty one says."""

from __future__ import annotations

from proxy.dialects.translation.conversation import Conversation, ToolDefinition


def test_conversations_share_no_lists() -> None:
    one, other = Conversation("a", []), Conversation("b", [])
    one.tools.append(ToolDefinition("t"))
    one.dropped.append("x")
    one.sampling.temperature = 1.0
    assert (other.tools, other.dropped, other.sampling.temperature) == ([], [], None)
