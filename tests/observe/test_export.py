"""Export of spans to a collector, with a scripted exporter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from threading import Event
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from proxy.observe import export as module
from proxy.observe.export import BATCH, Export
from proxy.observe.spans import Spans
from proxy.wire.trace_context import Trace
from tests.observe.exchanges import settled
from tests.support.patience import until


class Scripted(SpanExporter):
    """Fails, raises or waits, as configured."""

    def __init__(self) -> None:
        self.result: SpanExportResult | Exception = SpanExportResult.SUCCESS
        self.open = Event()
        self.open.set()
        self.batches: list[int] = []
        self.shutdowns = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.open.wait()
        self.batches.append(len(spans))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def shutdown(self) -> None:
        self.shutdowns += 1


class Notices:
    """Messages to the operator."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, message: str, **fields: Any) -> None:
        self.lines.append((message, fields))


def spans(count: int) -> list[ReadableSpan]:
    source, trace = Spans("s", "1"), Trace.begun(Random(1).getrandbits)
    return [source.of(settled(), trace)[0] for _ in range(count)]


@asynccontextmanager
async def exporting(scripted: Scripted, notices: Notices, queue: int = 1000) -> AsyncIterator[Export]:
    export = Export(scripted, asyncio.get_running_loop(), notices, notices, queue)
    try:
        yield export
    finally:
        scripted.open.set()
        await export.close()


def offer(export: Export, count: int) -> bool:
    if not export.admits(count):
        return False
    export.put(spans(count))
    return True


async def test_queued_spans_are_sent_at_the_stop() -> None:
    scripted, notices = Scripted(), Notices()
    async with exporting(scripted, notices) as export:
        assert offer(export, 3)
    assert scripted.batches == [3]
    assert scripted.shutdowns == 1
    assert (export.lost, export.waiting, notices.lines) == (0, 0, [])


async def test_a_full_queue_drops_spans_with_one_warning() -> None:
    scripted, notices = Scripted(), Notices()
    scripted.open.clear()
    async with exporting(scripted, notices, queue=10) as export:
        assert offer(export, 9)
        for _ in range(5):
            assert not offer(export, 2)
        assert offer(export, 1)
        assert export.lost == 10
        assert [message for message, _ in notices.lines] == ["The collector does not accept spans; they are dropped."]
    assert sum(scripted.batches) == 10
    assert notices.lines[-1] == ("Spans were lost: the collector did not accept them.", {"spans": 10})


@pytest.mark.parametrize("result", [SpanExportResult.FAILURE, OSError("no route"), ValueError("not encoded")])
async def test_failed_batches_are_counted_with_one_warning_and_one_info(result: Any) -> None:
    scripted, notices = Scripted(), Notices()
    scripted.result = result
    async with exporting(scripted, notices) as export:
        offer(export, BATCH)
        await until(lambda: export.lost == BATCH, "the first batch to be lost")
        offer(export, BATCH)
        await until(lambda: export.lost == 2 * BATCH, "the second batch to be lost")
        assert len(notices.lines) == 1
        scripted.result = SpanExportResult.SUCCESS
        offer(export, BATCH)
        await until(lambda: len(notices.lines) == 2, "the recovery message")
        assert notices.lines[1] == ("The collector accepts spans again.", {"lost": 2 * BATCH})
        scripted.result = SpanExportResult.FAILURE
        offer(export, BATCH)
        await until(lambda: len(notices.lines) == 3, "the next warning")
    assert export.lost == 3 * BATCH


async def test_a_queue_that_stays_full_is_not_a_recovery() -> None:
    scripted, notices = Scripted(), Notices()
    scripted.open.clear()
    async with exporting(scripted, notices, queue=2 * BATCH) as export:
        offer(export, 2 * BATCH)
        await until(lambda: export.waiting == BATCH, "a batch to be taken")
        offer(export, BATCH)
        assert not offer(export, 1)
        export._ended(0, delivered=True)  # while the queue is full
        assert len(notices.lines) == 1


async def test_the_stop_waits_a_bounded_time_for_a_stuck_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH", 0.05)
    scripted, notices = Scripted(), Notices()
    scripted.open.clear()
    export = Export(scripted, asyncio.get_running_loop(), notices, notices)
    offer(export, 5)
    await export.close()
    assert export.lost == 5
    assert scripted.shutdowns == 1
    assert notices.lines == [("Spans were lost: the collector did not accept them.", {"spans": 5})]
    scripted.open.set()
    await until(lambda: scripted.batches == [5], "the thread to go on")
    assert export.lost == 5  # it was reported


async def test_warnings_of_the_sdk_are_suppressed_while_it_exports() -> None:
    logger = logging.getLogger("opentelemetry.exporter")
    assert logger.isEnabledFor(logging.ERROR)
    async with exporting(Scripted(), Notices()):
        assert not logger.isEnabledFor(logging.CRITICAL)
    assert logger.isEnabledFor(logging.ERROR)
