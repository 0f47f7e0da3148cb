"""Events of API keys: in the outbox with the change, once, and without anything secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.apikey import new_key
from proxy.auth.key_events import KeyAnnouncer, key_event
from proxy.auth.keystore import DatabaseKeys
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.keys import KeyTable
from proxy.events.base import EventReceiver, GatewayEvent
from proxy.events.receivers import EventReceivers
from tests.database.databases import KINDS, address, new_database

BOTH = EventReceivers((EventReceiver("broker"), EventReceiver("webhook:a:1", ("key_revoked",))))


class KeptEvents:
    def __init__(self) -> None:
        self.events: list[GatewayEvent] = []

    def offer(self, event: GatewayEvent) -> None:
        self.events.append(event)


@pytest.fixture(params=KINDS)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    async with new_database(request.param, tmp_path) as url:
        made = Engine(address(url), DatabaseHealth(), time_limit=20.0)
        try:
            yield made
        finally:
            await made.close()


def keys_of(engine: Engine, receivers: EventReceivers = BOTH, announcer: Any = None) -> DatabaseKeys:
    return DatabaseKeys(KeyTable(engine, KeyAnnouncer(receivers, announcer)))


async def outbox(engine: Engine) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Id, receiver, type and data of what waits, in order."""
    statement = "SELECT id, receiver, type, body FROM outbox ORDER BY seq"
    rows = await engine.read(lambda connection: connection.exec_driver_sql(statement))
    return [(row.id, row.receiver, row.type, json.loads(row.body)["data"]) for row in rows]


async def told(engine: Engine) -> list[tuple[str, str]]:
    """Type and reason of what the broker gets."""
    return [(type_, data["reason"]) for _, receiver, type_, data in await outbox(engine) if receiver == "broker"]


async def test_a_key_is_told_from_its_creation_to_its_end(engine: Engine) -> None:
    keys = keys_of(engine)
    key = await keys.create(hash=new_key()[1], name="k", owner="ann", labels={"app": "x"})
    now = await keys._table.now()
    await keys.update(key.id, name="other")  # works as before
    await keys.update(key.id, enabled=False)
    await keys.update(key.id, enabled=False)
    await keys.update(key.id, enabled=True)
    await keys.update(key.id, expires_at=now - 10)
    await keys.update(key.id, expires_at=None)
    await keys.rotate(key.id, new_key()[1], 60.0)
    await keys.delete(key.id)
    assert await keys.delete(key.id) is None
    assert await told(engine) == [
        ("key_created", "created"),
        ("key_revoked", "disabled"),
        ("key_created", "enabled"),
        ("key_revoked", "expired"),
        ("key_created", "enabled"),
        ("key_created", "rotated"),
        ("key_revoked", "deleted"),
    ]
    rows = await outbox(engine)
    assert [type_ for _, receiver, type_, _ in rows if receiver != "broker"] == ["key_revoked"] * 3
    assert len({id_ for id_, receiver, _, _ in rows if receiver == "broker"}) == 7
    data = rows[0][3]
    assert (data["id"], data["name"], data["owner"], data["labels"], data["revision"]) == (
        key.id,
        "k",
        "ann",
        {"app": "x"},
        1,
    )
    (rotated,) = [data for *_, data in rows if data["reason"] == "rotated"]
    assert rotated["previous_until"] == pytest.approx(rotated["at"] + 60)


async def test_no_event_has_a_secret_or_a_hash(engine: Engine) -> None:
    keys = keys_of(engine)
    (first, hash_), (second, other) = new_key(), new_key()
    key = await keys.create(hash=hash_, name="k")
    await keys.rotate(key.id, other, 60.0)
    await keys.delete(key.id)
    text = json.dumps([data for *_, data in await outbox(engine)])
    assert not [each for each in (first, hash_, second, other) if each in text]
    assert "hash" not in text


async def test_a_change_that_fails_is_not_told(engine: Engine) -> None:
    keys = keys_of(engine)
    hash_ = new_key()[1]
    await keys.create(hash=hash_, name="k")
    with pytest.raises(Exception, match=r"(?i)unique"):
        await keys.create(hash=hash_, name="the same hash")
    assert await keys.update("key_none", enabled=False) is None
    assert await told(engine) == [("key_created", "created")]


async def test_without_a_receiver_nothing_is_told(engine: Engine) -> None:
    for receivers in (EventReceivers(), EventReceivers((EventReceiver("broker", ("ai_usage",)),))):
        keys = keys_of(engine, receivers)
        key = await keys.create(hash=new_key()[1], name="k")
        await keys.delete(key.id)
    assert await outbox(engine) == []


async def test_with_a_sink_events_go_there_after_the_commit(engine: Engine) -> None:
    announcer = KeptEvents()
    keys = keys_of(engine, announcer=announcer)
    key = await keys.create(hash=new_key()[1], name="k")
    await keys.update(key.id, name="other")
    await keys.delete(key.id)
    assert [(event.type, event.subject) for event in announcer.events] == [
        ("key_created", key.id),
        ("key_revoked", key.id),
    ]
    assert await outbox(engine) == []


NOW = 1000.0
RECORDS = st.fixed_dictionaries(
    {
        "id": st.just("key_1"),
        **dict.fromkeys(("name", "owner", "team", "project"), st.just("n")),
        "hash": st.sampled_from("ab"),
        "labels": st.just({}),
        **dict.fromkeys(("models", "providers", "scopes"), st.just([])),
        "enabled": st.booleans(),
        "expires_at": st.sampled_from([None, NOW - 1, NOW, NOW + 1]),
        "changed_at": st.just(NOW),
        "previous_until": st.sampled_from([None, NOW - 1, NOW + 1]),
        "deleted": st.just(False),
        "revision": st.just(2),
    }
)


def works(record: dict[str, Any]) -> bool:
    ends = record["expires_at"]
    return record["enabled"] and not record["deleted"] and (ends is None or ends > NOW)


@given(RECORDS, RECORDS, st.booleans())
def test_each_change_of_whether_a_key_works_is_told(before: Any, after: Any, deleted: bool) -> None:
    after["deleted"] = deleted
    event = key_event(before, after)
    same_secret = before["hash"] == after["hash"]
    if event is None:
        assert works(before) == works(after)
        assert same_secret
        assert not deleted
    elif same_secret or deleted:
        assert event.type == ("key_created" if works(after) else "key_revoked")
        assert deleted or works(before) != works(after)
    else:
        assert (event.type, event.data.reason) == ("key_created", "rotated")  # type: ignore[attr-defined]
