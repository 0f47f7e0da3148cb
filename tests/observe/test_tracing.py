"""Sampling of exchanges, and no cost if tracing is off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

import proxy.observe
from proxy.config.schema import TracingSettings as Settings
from proxy.errors import ConfigError
from proxy.observe.export import Export
from proxy.observe.spans import Spans
from proxy.observe.tracing import Tracing, opened
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
        self.tracing = Tracing(Spans("s", "1"), export, ratio, Random(42))

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


# -- the libraries ------------------------------------------------------------------------------------


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("export", "spans"):
        monkeypatch.delitem(sys.modules, f"proxy.observe.{name}")
        monkeypatch.delattr(proxy.observe, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)


@pytest.mark.usefixtures("without_library")
async def test_a_missing_extra_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        opened(Settings(enabled=True), {}, asyncio.get_running_loop(), version="1", warn=Notices(), info=Notices())
    assert caught.value.mistakes == [
        "observe.tracing: OpenTelemetry is not installed: pip install 'sluice-gateway[otel]'"
    ]


OFF = """
import asyncio, sys
from proxy.app import Application
from proxy.config.schema import Admin, Config, ServerSettings

async def main():
    application = Application(Config(server=ServerSettings(port=0), admin=Admin(token="a-token-of-a-test")), environ={})
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
