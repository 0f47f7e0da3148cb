"""Sampling of exchanges, and no cost if tracing is off."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

import proxy.observe
from proxy.config.observe_schema import Observe, SentrySettings, TracingSettings
from proxy.errors import ConfigError
from proxy.observe.export import Export
from proxy.observe.spans import Spans
from proxy.observe.tracing import SpanSink, Tracing, opened, wanted
from tests.observe.exchanges import attempt_of, settled
from tests.observe.test_export import Notices, Scripted

ROOT = Path(__file__).resolve().parents[2]
ID = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def headers(**values: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(values))


class Rig:
    """A Tracing with a scripted exporter."""

    def __init__(self, ratio: float = 1.0, queue: int = 1000) -> None:
        self.exporter, self.notices = Scripted(), Notices()
        export = Export(self.exporter, asyncio.get_running_loop(), self.notices, self.notices, queue)
        self.tracing = Tracing(Spans("s", "1"), [SpanSink(export, ratio)], Random(42))

    async def __aenter__(self) -> Tracing:
        return self.tracing

    async def __aexit__(self, *_: object) -> None:
        self.exporter.open.set()
        await self.tracing.close()


async def test_the_trace_of_the_client_is_continued() -> None:
    async with Rig() as tracing:
        exchange = settled()
        tracing.begin(exchange, headers(Traceparent=f"00-{ID}-{SPAN}-01", Tracestate="a=1"))
        trace = exchange.trace
        assert trace
        assert (trace.trace_id, trace.parent_id, trace.state) == (ID, SPAN, "a=1")
        assert trace.span_id != SPAN


async def test_an_unsampled_client_trace_is_not_recorded() -> None:
    async with Rig(ratio=1.0) as tracing:
        exchange = settled()
        tracing.begin(exchange, headers(traceparent=f"00-{ID}-{SPAN}-00"))
        assert exchange.trace is None
        tracing.settle([exchange])


async def test_a_sampled_client_trace_is_recorded_at_any_ratio() -> None:
    async with Rig(ratio=0.0) as tracing:
        exchange = settled()
        tracing.begin(exchange, headers(traceparent=f"00-{ID}-{SPAN}-01"))
        assert exchange.trace


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.25, 200, 300), (1.0, 1000, 1000)])
async def test_other_requests_are_sampled_by_the_ratio(ratio: float, least: int, most: int) -> None:
    async with Rig(ratio=ratio) as tracing:
        exchanges = [settled() for _ in range(1000)]
        for exchange in exchanges:
            tracing.begin(exchange, headers())
        traced = [exchange.trace for exchange in exchanges if exchange.trace]
        assert least <= len(traced) <= most
        assert len({trace.trace_id for trace in traced}) == len(traced)


async def test_an_invalid_traceparent_is_ignored_with_its_tracestate() -> None:
    async with Rig() as tracing:
        exchange = settled()
        tracing.begin(exchange, headers(traceparent="00-1-2-01", tracestate="a=1"))
        assert exchange.trace
        assert (exchange.trace.parent_id, exchange.trace.state) == ("", "")


async def test_an_exchange_and_its_attempts_are_exported_together() -> None:
    rig = Rig()
    async with rig as tracing:
        exchange = settled(attempts=[attempt_of(100.0, 101.0, "timeout"), attempt_of(101.0, 103.0)])
        tracing.begin(exchange, headers())
        tracing.settle([exchange])
    assert rig.exporter.batches == [3]


async def test_a_full_queue_drops_all_spans_of_an_exchange() -> None:
    rig = Rig(queue=3)
    rig.exporter.open.clear()
    async with rig as tracing:
        for attempts in ([attempt_of(100.0, 101.0)], [attempt_of(100.0, 101.0)], []):
            exchange = settled(attempts=attempts)
            tracing.begin(exchange, headers())
            tracing.settle([exchange])
        assert tracing.lost == 2
    assert rig.exporter.batches == [3]


# -- several backends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("traceparent", ["", f"00-{ID}-{SPAN}-01"])
async def test_each_backend_gets_its_share(traceparent: str) -> None:
    loop, scripted = asyncio.get_running_loop(), (Scripted(), Scripted())
    exports = [Export(each, loop, Notices(), Notices(), 10_000) for each in scripted]
    sinks = [SpanSink(exports[0], 0.5), SpanSink(exports[1], 0.125, follows=False)]
    tracing = Tracing(Spans("s", "1"), sinks, Random(42))
    for _ in range(1000):
        exchange = settled()
        tracing.begin(exchange, headers(traceparent=traceparent) if traceparent else headers())
        tracing.settle([exchange])
    await tracing.close()
    first, second = (sum(each.batches) for each in scripted)
    # A client that has its trace recorded does not spend the quota of the second.
    assert 450 <= first <= 550 if not traceparent else first == 1000
    assert 95 <= second <= 155
    assert tracing.lost == 0


async def test_the_logger_of_the_sdk_is_restored_after_several_exports() -> None:
    logger = logging.getLogger("opentelemetry")
    before = logger.level
    sinks = [SpanSink(Export(Scripted(), asyncio.get_running_loop(), Notices(), Notices()), 1.0) for _ in range(2)]
    tracing = Tracing(Spans("s", "1"), sinks, Random(42))
    assert logger.level > logging.CRITICAL
    await tracing.close()
    assert logger.level == before


def test_traces_are_wanted_for_a_collector_or_a_share_at_sentry() -> None:
    assert not wanted(Observe(sentry=SentrySettings(DSN)))
    assert not wanted(Observe(sentry=SentrySettings(traces_sample_rate=1.0)))
    assert wanted(Observe(sentry=SentrySettings(DSN, traces_sample_rate=0.1)))
    assert wanted(Observe(tracing=TracingSettings(enabled=True)))


async def test_an_invalid_dsn_is_no_place_for_traces() -> None:
    settings = Observe(sentry=SentrySettings("nonsense", traces_sample_rate=1.0))
    with pytest.raises(ConfigError) as caught:
        opened(settings, {}, asyncio.get_running_loop(), version="1", warn=Notices(), info=Notices())
    assert caught.value.mistakes == ["observe.sentry.dsn: is not a valid DSN"]


# -- the libraries ------------------------------------------------------------------------------------


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("export", "spans"):
        monkeypatch.delitem(sys.modules, f"proxy.observe.{name}")
        monkeypatch.delattr(proxy.observe, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)


DSN = "http://public@127.0.0.1:1/7"


@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        (Observe(tracing=TracingSettings(enabled=True)), "observe.tracing"),
        (Observe(sentry=SentrySettings(DSN, traces_sample_rate=0.1)), "observe.sentry.tracesSampleRate"),
    ],
)
async def test_a_missing_extra_is_named(settings: Observe, setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(settings, {}, asyncio.get_running_loop(), version="1", warn=Notices(), info=Notices())
    assert caught.value.mistakes == [f"{setting}: OpenTelemetry is not installed: pip install 'sluice-gateway[otel]'"]


OFF = """
import asyncio, sys
from proxy.app import Application
from proxy.config.schema import Admin, Config, LedgerSettings, ServerSettings

async def main():
    settings = {"server": ServerSettings(port=0), "admin": Admin(token="a-token-of-a-test")}
    application = Application(Config(**settings, ledger=LedgerSettings(enabled=False)), environ={})
    await application.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", application.port)
    writer.write(b"GET /v1/models HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await application.stop()
    print(*sorted({name.partition(".")[0] for name in sys.modules} & {"opentelemetry", "sentry_sdk", "requests", "google"}))

asyncio.run(main())
"""


def test_disabled_tracing_imports_nothing() -> None:
    run = subprocess.run([sys.executable, "-c", OFF], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr
