"""A ledger in memory, a log that is a list, and gateways that write to a spool."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import structs

from proxy.events.base import OutboxEvent
from proxy.ledger.recorder import hours
from proxy.ledger.recorder.base import DatabaseUnavailable, RowsRejected, TablesOutdated
from proxy.ledger.recorder.expiry import Expiry
from proxy.ledger.row import Opened, Row, encode
from proxy.ledger.spool.format import CLOSE, EVENT
from proxy.ledger.spool.writer import SpoolWriter
from tests.ledger.rows import ROW

T = TypeVar("T")

Mode = Literal["up", "down", "down after commit", "outdated"]


class MemoryLedger:
    """``mode`` decides what the next writes meet. Rows with the model ``poison``, and such events, are rejected."""

    def __init__(self) -> None:
        self.mode: Mode = "up"
        self.rows: dict[tuple[float, str], Row] = {}
        self.counted: list[Row] = []  # what the sums were made of
        self.writes: list[int] = []
        self.events: dict[str, OutboxEvent] = {}  # as the outbox, without the events of rows

    async def write(self, rows: Sequence[Row], events: Sequence[OutboxEvent] = ()) -> int:
        if self.mode == "down":
            raise DatabaseUnavailable("cut off")
        if self.mode == "outdated":
            raise TablesOutdated
        if any(row.model == "poison\0" for row in rows) or any(row.model == "poison" for row in rows):
            raise RowsRejected("poison")
        if any(event.type == "poison" for event in events):
            raise RowsRejected("poison")
        new = {(row.at, row.id): row for row in rows if (row.at, row.id) not in self.rows}
        self.rows |= new
        self.counted += new.values()
        self.events = {event.id: event for event in events} | self.events
        self.writes.append(len(rows) + len(events))
        if self.mode == "down after commit":
            raise DatabaseUnavailable("cut off")
        return len(new)

    async def present(self, keys: Sequence[tuple[float, str]]) -> set[str]:
        if self.mode.startswith("down"):
            raise DatabaseUnavailable("cut off")
        return {key[1] for key in keys if key in self.rows}

    async def expire(self, before: Expiry) -> bool:
        return False

    async def close(self) -> None:
        pass

    def sums(self) -> list[tuple[Any, ...]]:
        return hours.sums(hours.grouped(self.counted))


class ListLog:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, **fields: object) -> None:
        self.lines.append(f"info {message}")

    def warning(self, message: str, **fields: object) -> None:
        self.lines.append(f"warning {message}")

    def error(self, message: str, **fields: object) -> None:
        self.lines.append(f"error {message}")


class WritingGateway:
    """A gateway's end of the spool, in this process. ``open`` and ``close`` return the row that was written."""

    def __init__(self, folder: Path, segment_bytes: int = 4096) -> None:
        self.spool = SpoolWriter(folder, limit_bytes=1 << 30, notice=lambda text: None, segment_bytes=segment_bytes)
        self.number = 0

    def open(self, **changes: Any) -> Row:
        self.number += 1
        row = structs.replace(ROW, id=f"{self.spool.nonce}{self.number}", at=1_790_000_000.0 + self.number, **changes)
        self.spool.open(encode(Opened(row, 1_000_000, 2_000_000)))
        return row

    def close(self, row: Row, **changes: Any) -> Row:
        whole = structs.replace(
            row, **{"end": "ok", "answered": True, "usage_source": "provider", "output": 7, "cost": 5} | changes
        )
        self.spool.write([(CLOSE, encode(whole))])
        return whole

    def announce(self, type_: str = "budget_threshold", event: OutboxEvent | None = None) -> OutboxEvent:
        """``event``: one that was announced before."""
        self.number += 1
        if event is None:
            event = OutboxEvent(f"evt_{self.spool.nonce}{self.number}", type_, 1_790_000_000.0, b'{"a":1}')
        self.spool.write([(EVENT, msgspec.msgpack.encode(event))])
        return event

    def end(self) -> None:
        """Stop in good order."""
        self.spool.end()

    def die(self) -> None:
        """Give up the locks without a seal, as a kill does."""
        self.spool._leave()


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    work.close()
    raise AssertionError("it waits")


def sockets() -> int:
    """Sockets that this process has; two descriptors of one count once."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        found |= {target} if target.startswith("socket:") else set()
    return len(found)
