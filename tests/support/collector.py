"""A collector of traces: OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/), decoded with OpenTelemetry's types."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVER = Span.SpanKind.SPAN_KIND_SERVER
CLIENT = Span.SpanKind.SPAN_KIND_CLIENT


class Collector:
    """``async with Collector() as collector``; ``status`` is what it answers, ``hold`` keeps it from answering."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.hold: asyncio.Event | None = None
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []  # path and headers
        self.port = 0

    async def __aenter__(self) -> Collector:
        self._runner = web.ServerRunner(web.Server(self._take), shutdown_timeout=0.1)  # type: ignore[arg-type]
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    @property
    def exchanges(self) -> list[Span]:
        return [span for span in self.spans if span.kind == SERVER]

    @property
    def attempts(self) -> list[Span]:
        """In the order in which they began."""
        return sorted((span for span in self.spans if span.kind == CLIENT), key=lambda span: span.start_time_unix_nano)

    async def _take(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if self.hold is not None:
            await self.hold.wait()
        self.requests.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
        if self.status == 200:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(plain(resource.resource.attributes))
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response(status=self.status, content_type="application/x-protobuf")


def attributes(span: Span) -> dict[str, Any]:
    return plain(span.attributes)


def plain(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    return getattr(pair.value, str(pair.value.WhichOneof("value")))
