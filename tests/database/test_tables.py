"""The database's own clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from proxy.database import drivers
from proxy.database.tables import Now
from tests.database.databases import KINDS, address, new_database


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with new_database(request.param, tmp_path) as url:
        yield url


async def test_now_is_in_unix_seconds_with_fractions_and_advances_in_a_transaction(url: str) -> None:
    engine = drivers.open_single(address(url), 5.0)
    plain = {"sqlite": "strftime('%s')", "postgresql": "extract(epoch FROM now())"}[engine.dialect.name]
    async with engine.begin() as connection:
        seconds = float((await connection.execute(text(f"SELECT {plain}"))).scalar_one())
        told = [(await connection.execute(select(Now()))).scalar_one() for _ in range(300)]
    await engine.dispose()
    assert all(isinstance(each, float) for each in told)
    assert told == sorted(told)
    assert len({*told}) > 1
    assert any(each % 1 for each in told)
    assert abs(told[0] - seconds) < 60
