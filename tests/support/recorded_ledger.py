"""A ledger that keeps its records in memory, for a gateway in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import msgpack

from proxy.events.base import OutboxEvent
from proxy.ledger.full import SpoolFull
from proxy.ledger.ledger import Ledger
from proxy.ledger.row import Opened, Row, decode_closed, decode_opened
from proxy.ledger.spool.format import OPEN, Record
from tests.support.gateway import Gateway


class RecordedSpool:
    """``full``: why records are refused, ``""``: they are not."""

    def __init__(self) -> None:
        self.nonce = "nonce-"
        self.full = ""
        self.opened: list[Opened] = []
        self.closed: list[Row] = []
        self.events: list[OutboxEvent] = []

    def has_room(self) -> bool:
        return not self.full

    def open(self, payload: bytes) -> None:
        if self.full:
            raise SpoolFull(self.full)
        self.opened.append(decode_opened(payload))

    def announce(self, payload: bytes) -> None:
        if self.full:
            raise SpoolFull(self.full)
        self.events.append(msgpack.decode(payload, type=OutboxEvent))

    def write(self, records: Sequence[Record]) -> None:
        for kind, payload in records:
            if kind == OPEN:
                self.opened.append(decode_opened(payload))
            else:
                self.closed.append(decode_closed(payload))

    def end(self) -> None:
        pass

    @property
    def rows(self) -> list[Row]:
        """The rows, in the order in which the attempts began."""
        return sorted(self.closed, key=lambda row: int(row.id.removeprefix(self.nonce)))

    def check(self) -> None:
        """Every entry was closed once, and the rows of each exchange fit together."""
        assert sorted(row.id for row in self.closed) == sorted(each.row.id for each in self.opened)
        for request in {row.request_id for row in self.closed}:
            rows = [row for row in self.rows if row.request_id == request]
            assert [row.attempt for row in rows] == sorted({row.attempt for row in rows})
            assert sum(row.answered for row in rows) <= 1
            assert all(row.end and (row.bytes_out >= 0) for row in rows)


def keep_ledger(gw: Gateway, on_full: Literal["refuse", "forget"] = "refuse") -> tuple[Ledger, RecordedSpool]:
    """Let a running gateway keep a ledger."""
    spool = RecordedSpool()
    ledger = Ledger(spool, on_full, gw.app.metrics, gw.app.log.warning)
    gw.app.upstream.dispatcher.ledger = ledger
    gw.app.observers.exact += (ledger,)
    return ledger, spool
