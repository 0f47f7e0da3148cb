"""The short form of ``python -m tests.events.kills``."""

from __future__ import annotations

from pathlib import Path

from tests.events.acceptance.rounds import SCENARIOS, rounds


async def test_kills_under_load_lose_no_event_and_count_none_twice(tmp_path: Path) -> None:
    found = await rounds(tmp_path, [*SCENARIOS], kills=2, seed=1)
    assert [each for each in found if each.wrong] == []
    assert len(found) == len(SCENARIOS)
