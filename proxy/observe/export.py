"""Exporting spans to a collector: a bounded queue in front of OpenTelemetry's thread, and counts of lost spans.

The queue is bounded here because the SDK drops spans without counting them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Thread
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from requests import Session

QUEUE: Final = 2048  # spans
# Encoding holds the GIL for about 45 us per span, during which no token is relayed: at most 3 ms.
BATCH: Final = 64
EVERY: Final = 1.0  # seconds between batches that are not full
PATIENCE: Final = 5.0  # seconds for one batch, including retries
FLUSH: Final = 2.0  # seconds at the shutdown
SILENT: Final = logging.CRITICAL + 1  # level of a logger

Tell = Callable[..., None]


def collector(endpoint: str, headers: Mapping[str, str], proxy: str | None) -> SpanExporter:
    """An exporter for OTLP over HTTP (protobuf) to ``endpoint``; ``proxy`` ``None``: connect directly."""
    session = Session()
    session.trust_env = False  # it reads NO_PROXY in its own way
    session.proxies = {} if proxy is None else {"http": proxy, "https": proxy}
    return OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), timeout=PATIENCE, session=session)


class Export:
    """Call all methods in the loop's thread. ``warn`` is called once when spans are lost, ``info`` when that ends."""

    def __init__(
        self, exporter: SpanExporter, loop: asyncio.AbstractEventLoop, warn: Tell, info: Tell, queue: int = QUEUE
    ) -> None:
        self._loop = loop
        self._warn = warn
        self._info = info
        self._room = queue
        self._put = 0  # into the SDK's queue
        self._delivered = 0
        self._failed = 0
        self._overflowed = 0
        self._failing = False
        self._closed = False
        # The SDK logs each failed batch; the warning here is written once. The first of several exports silences it.
        logger = logging.getLogger("opentelemetry")
        self._silenced = logger if logger.level != SILENT else None
        self._level = logger.level
        logger.setLevel(SILENT)
        self._exporter = _Counted(exporter, self._from_thread)
        self._processor: SpanProcessor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=queue + BATCH,
            schedule_delay_millis=EVERY * 1000,
            max_export_batch_size=BATCH,
        )

    def __repr__(self) -> str:
        return f"<Export {self.waiting} waiting, {self._delivered} delivered, {self.lost} lost>"

    @property
    def waiting(self) -> int:
        """Number of spans that are not in a batch yet."""
        return self._put - self._exporter.taken

    @property
    def lost(self) -> int:
        return self._failed + self._overflowed

    def admits(self, count: int) -> bool:
        """Whether there is room for ``count`` spans; if not, counts them as lost."""
        if self.waiting + count <= self._room:
            return True
        self._overflowed += count
        self._fails()
        return False

    def put(self, spans: Sequence[ReadableSpan]) -> None:
        """Queue spans for the next batch. Call ``admits`` before, or the SDK may drop others."""
        self._put += len(spans)
        for span in spans:
            self._processor.on_end(span)

    async def close(self) -> None:
        """Send what is queued; what is not sent within ``FLUSH`` seconds is lost."""
        over = asyncio.Event()
        # Not an executor: the interpreter would wait for its threads at exit, however slow the collector is.
        Thread(target=self._shut_down, args=(over,), name="traces-flush", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH):
                await over.wait()
        except TimeoutError:
            self._exporter.shutdown()  # fails what is still queued
        self._closed = True
        if self._silenced is not None:
            self._silenced.setLevel(self._level)
        self._failed = self._put - self._delivered
        if self.lost:
            self._warn("Spans were lost: the collector did not accept them.", spans=self.lost)

    def _shut_down(self, over: asyncio.Event) -> None:
        self._processor.shutdown()
        self._on_loop(over.set)

    def _from_thread(self, count: int, delivered: bool) -> None:
        self._on_loop(lambda: self._ended(count, delivered))

    def _on_loop(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop has been closed
            pass

    def _ended(self, count: int, delivered: bool) -> None:
        """Record the result of a batch."""
        if self._closed:
            return
        if not delivered:
            self._failed += count
            self._fails()
            return
        self._delivered += count
        # During steady overload, some batches succeed between losses. Wait until half of the queue is free.
        if self._failing and self.waiting <= self._room // 2:
            self._failing = False
            self._info("The collector accepts spans again.", lost=self.lost)

    def _fails(self) -> None:
        if not self._failing:
            self._failing = True
            self._warn("The collector does not accept spans; they are dropped.", waiting=self.waiting)


class _Counted(SpanExporter):
    """Reports the result of each batch of another exporter, in the SDK's thread."""

    def __init__(self, exporter: SpanExporter, ended: Callable[[int, bool], None]) -> None:
        self._exporter = exporter
        self._ended = ended
        self._closed = False
        self.taken = 0  # only one thread writes it

    def export(self, spans: Iterable[ReadableSpan]) -> SpanExportResult:
        batch = list(spans)
        self.taken += len(batch)
        try:
            result = self._exporter.export(batch)
        except Exception:
            # No exception may end the thread or skip the count.
            result = SpanExportResult.FAILURE
        self._ended(len(batch), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
