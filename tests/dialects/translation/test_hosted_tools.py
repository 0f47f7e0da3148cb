"""Which tools may be left out."""

from __future__ import annotations

import pytest

from proxy.dialects.translation.hosted_tools import is_hosted


@pytest.mark.parametrize(
    "kind",
    [
        *("web_search", "web_search_20260318", "web_search_preview_2025_03_11", "web_fetch_20250910"),
        *("code_execution_20260521", "tool_search", "tool_search_tool_bm25_20251119", "openrouter:web_search"),
    ],
)
def test_a_tool_that_the_provider_runs_may_be_left_out(kind: str) -> None:
    assert is_hosted(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "function",
        "custom",
        "namespace",
        "mcp",
        "bash_20250124",
        "text_editor_20250728",
        "apply_patch",
        "web_searches",
    ],
)
def test_a_tool_that_the_client_runs_may_not(kind: str) -> None:
    assert not is_hosted(kind)
