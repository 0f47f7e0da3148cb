"""The outbox in a PostgreSQL whose connection breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from proxy.events.outbox.base import OutboxUnavailable
from proxy.events.outbox.postgres import PostgresOutbox
from tests.database.databases import Forwarder
from tests.events.outbox.outboxes import AT, RECEIVER, insert
from tests.ledger.recorder.databases import migrated


async def test_it_connects_again(tmp_path: Path) -> None:
    async with migrated("postgresql", tmp_path) as where, Forwarder(where.target) as way:
        outbox = PostgresOutbox(structs.replace(where, target=way.url).target)
        await insert(where, "a")
        assert len(await outbox.take(RECEIVER, AT, 9)) == 1
        await way.cut()
        for _ in range(2):
            with pytest.raises(OutboxUnavailable):
                await outbox.take(RECEIVER, AT, 9)
        await way.restore()
        assert len(await outbox.take(RECEIVER, AT, 9)) == 1
        await outbox.close()


async def test_a_wrong_address_is_one_readable_line() -> None:
    outbox = PostgresOutbox("postgresql://user:password@127.0.0.1:1/none")
    with pytest.raises(OutboxUnavailable) as error:
        await outbox.counts()
    assert "password" not in str(error.value)
    await outbox.close()
