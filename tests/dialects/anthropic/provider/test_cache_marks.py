from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.anthropic.provider import cache_marks
from proxy.dialects.translation.conversation import CacheMark
from proxy.dialects.translation.loss import Losses


def settled(*ttls: str | None) -> tuple[list[str | None], tuple[str, ...]]:
    """The lifetimes of blocks in their order; ``None``: no mark, ``""``: the usual one."""
    losses = Losses()
    blocks: list[dict[str, Any]] = [{"type": "text"} for _ in ttls]
    for block, ttl in zip(blocks, ttls, strict=True):
        cache_marks.add(block, None if ttl is None else CacheMark(ttl))
    cache_marks.settle(blocks, losses, "mark")
    found = [block["cache_control"].get("ttl", "") if "cache_control" in block else None for block in blocks]
    return found, losses.names


@pytest.mark.parametrize(
    ("ttls", "sent"),
    [
        ([], []),
        (["", None, "5m", "", ""], ["", None, "5m", "", ""]),
        (["1h", "1h", "5m", ""], ["1h", "1h", "5m", ""]),
    ],
)
def test_marks_that_the_api_takes_remain(ttls: list[str | None], sent: list[str | None]) -> None:
    assert settled(*ttls) == (sent, ())


@pytest.mark.parametrize(
    ("ttls", "sent"),
    [
        (["1h", "", "", "", "", ""], ["1h", None, None, "", "", ""]),
        (["", "1h"], ["", ""]),
        (["24h", "30m", "24h"], ["1h", "", ""]),
        (["odd"], [""]),
    ],
)
def test_other_marks_are_changed_and_told(ttls: list[str | None], sent: list[str | None]) -> None:
    assert settled(*ttls) == (sent, ("mark",))


def test_the_last_block_that_can_have_a_mark_gets_it() -> None:
    blocks: list[dict[str, Any]] = [{"type": "text"}, {"type": "tool_use"}, {"type": "thinking"}]
    cache_marks.add_last(blocks, CacheMark())
    assert [block.get("cache_control") for block in blocks] == [None, {"type": "ephemeral"}, None]
    cache_marks.add_last([], CacheMark())
    cache_marks.add_last(blocks, None)
