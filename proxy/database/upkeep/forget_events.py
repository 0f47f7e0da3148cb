"""Puts a pseudonym in the place of an owner in events that wait to be sent, or are dead."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database.tables import OUTBOX
from proxy.database.upkeep.opened import alone

BATCH: Final = 1000  # events that are read in one transaction

_CLEARED: Final[dict[str, Any]] = {"key": "", "run": "", "labels": {}, "counters": []}
_OWNERS: Final = ("owner", "account", "subject")
"""Members of an event, or of its data, that name who pays."""


async def forget_events(engine: AsyncEngine, owner: str, pseudonym: str) -> int:
    """Returns how many events changed. Those that were sent are with their receivers, and do not change."""
    row, changed, last = OUTBOX.c, 0, 0
    change = update(OUTBOX).where(row.seq == bindparam("of_seq")).values(body=bindparam("new_body"))
    while True:
        began = time.monotonic()
        async with alone(engine) as connection:
            page = select(row.seq, row.body).where(row.seq > last).order_by(row.seq).limit(BATCH)
            found = (await connection.execute(page)).all()
            changes = [
                {"of_seq": seq, "new_body": body}
                for seq, former in found
                if (body := forgotten(former, owner, pseudonym)) != former
            ]
            if changes:
                await connection.execute(change, changes)
        if not found:
            return changed
        changed, last = changed + len(changes), found[-1].seq
        await asyncio.sleep(time.monotonic() - began)


def forgotten(body: str, owner: str, pseudonym: str) -> str:
    """The CloudEvent without the owner, and without what may name the person; unchanged if it is another's.

    A subject may be the key of a budget counter, which ends with its owner.
    """
    if msgspec.json.encode(owner)[1:-1].decode() not in body:
        return body
    try:
        event = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return body
    data = event.get("data")
    members = data if isinstance(data, dict) else {}
    ends = f"/{owner}"
    if not any(each.get(name) == owner for each in (event, members) for name in _OWNERS) and not str(
        event.get("subject", "")
    ).endswith(ends):
        return body
    for each in (event, members):
        for name in _OWNERS:
            value = each.get(name)
            if value == owner:
                each[name] = pseudonym
            elif isinstance(value, str) and value.endswith(ends):
                each[name] = value.removesuffix(owner) + pseudonym
    if event.get("type") == "io.sluice.ai_usage":
        members.update(_CLEARED, client=pseudonym)
    return msgspec.json.encode(event).decode()
