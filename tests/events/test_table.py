"""The table of who received what: ``python -m tests.events.table``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.events.table import Line, table


async def test_every_event_is_received_once_by_each_that_gets_it(tmp_path: Path) -> None:
    lines = await table(tmp_path)
    assert [line for line in lines if line.wrong] == []
    assert sum(line.expected for line in lines if line.receiver == "analytics.events") == 29


@pytest.mark.parametrize(
    ("received", "distinct", "stored", "wrong"),
    [(2, 2, 2, False), (2, 2, -1, False), (3, 2, 2, True), (1, 1, 1, True), (2, 1, -1, True), (2, 2, 1, True)],
)
def test_a_line_is_wrong_if_an_event_is_missing_or_doubled(
    received: int, distinct: int, stored: int, wrong: bool
) -> None:
    assert Line("e", "A", "q", 2, received, distinct, stored).wrong is wrong
