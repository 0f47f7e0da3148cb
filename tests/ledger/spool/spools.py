"""Writers and readers of small spools for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from proxy.ledger.spool.format import CLOSE, EVENT, OPEN
from proxy.ledger.spool.reader import GatewayState, SpoolReader
from proxy.ledger.spool.writer import SpoolWriter

SEGMENT = 4096
NAMES = {OPEN: "open", CLOSE: "close", EVENT: "event"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def no_notice(text: str) -> None:
    raise AssertionError(text)


def writer(folder: Path, notice: Callable[[str], None] = no_notice, **options: Any) -> SpoolWriter:
    return SpoolWriter(folder, notice=notice, **{"limit_bytes": 1 << 20, "segment_bytes": SEGMENT, **options})


def close(spool: SpoolWriter, payload: bytes) -> None:
    spool.write([(CLOSE, payload)])


def reader(folder: Path, notice: Callable[[str], None] = no_notice) -> SpoolReader:
    return SpoolReader(folder, notice)


def read_all(spool: SpoolReader, most: int = 1 << 20) -> list[tuple[str, bytes]]:
    """Each record until there are none, as ("open", payload)."""
    found = []
    while batches := spool.read(most):
        found += [(NAMES[kind], payload) for batch in batches for kind, payload in batch.records]
    return found


def only_gateway(spool: SpoolReader) -> GatewayState:
    (gateway,) = spool.gateways()
    return gateway
