"""Three rounds of ``tests.ledger.kills``."""

from __future__ import annotations

import pytest

from tests.ledger.kills.run import kills


@pytest.mark.parametrize(
    ("database", "victims"),
    [("sqlite", ["gateway", "recorder in a transaction"]), ("postgresql", ["database and recorder"])],
)
async def test_kill_9_under_load_leaves_each_attempt_its_row(database: str, victims: list[str]) -> None:
    found = await kills(database, victims, seed=1)
    assert found.audit.wrong == []
    assert [each.requests > 0 for each in found.rounds] == [True] * len(victims)
    assert [(each.doubled, each.missing) for each in found.rounds] == [(0, 0)] * len(victims)
