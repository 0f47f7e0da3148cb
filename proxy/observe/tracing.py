"""Tracing with OpenTelemetry: which exchanges are recorded, and to which backends their spans are sent.

Spans are built once, when the exchange is settled, from times that are recorded anyway. Only their IDs are made
before, for the header of upstream requests. The libraries (extra ``otel``) are imported by ``opened``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from multidict import CIMultiDictProxy

from proxy.config.observe_schema import Observe
from proxy.config.proxies import proxy_url
from proxy.errors import ConfigError
from proxy.exchange import Exchange
from proxy.observe import langfuse
from proxy.observe.sentry import otlp_of
from proxy.wire import trace_context
from proxy.wire.trace_context import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from proxy.observe.export import Export
    from proxy.observe.spans import Spans

Tell = Callable[..., None]  # a message and the fields of a log line


class SpanSink(Struct, eq=False):
    """Where spans go. ``ratio``: the share of the exchanges that are recorded there.

    ``follows``: a client's trace context decides instead, if there is one.
    """

    export: Export
    ratio: float
    follows: bool = True


class Tracing:
    """``begin`` and ``settle`` are called once per exchange. They neither wait nor raise.

    An exchange is recorded if the trace context of its client says so. Of all others, as many are recorded as the sink
    with the highest ratio takes; the other sinks take a part of these.
    """

    def __init__(self, spans: Spans, sinks: Sequence[SpanSink], chance: Random) -> None:
        self._spans = spans
        self._sinks = sinks
        self._ratio = max(sink.ratio for sink in sinks)
        self._chance = chance

    def __repr__(self) -> str:
        return f"<Tracing {', '.join(repr(sink.export) for sink in self._sinks)}>"

    @property
    def lost(self) -> int:
        """Number of spans that did not reach a collector."""
        return sum(sink.export.lost for sink in self._sinks)

    def begin(self, exchange: Exchange, headers: CIMultiDictProxy[str]) -> None:
        """Set the exchange's trace, if it is recorded; ``headers`` are the client's."""
        parent = trace_context.read(headers.getall("traceparent", ()))
        if parent is not None:
            if parent.sampled:
                state = trace_context.state(headers.getall("tracestate", ()))
                exchange.trace = Trace.within(parent, state, self._chance.getrandbits)
        elif self._chance.random() < self._ratio:
            exchange.trace = Trace.begun(self._chance.getrandbits)

    def settle(self, ended: Sequence[Exchange]) -> None:
        """Queue the spans of settled exchanges."""
        for exchange in ended:
            trace = exchange.trace
            if trace is not None:
                self._record(exchange, trace)

    def _record(self, exchange: Exchange, trace: Trace) -> None:
        spans: Sequence[ReadableSpan] | None = None
        for sink in self._sinks:
            if self._goes_to(sink, trace) and sink.export.admits(1 + len(exchange.attempts)):
                spans = spans or self._spans.of(exchange, trace)
                sink.export.put(spans)

    def _goes_to(self, sink: SpanSink, trace: Trace) -> bool:
        if trace.parent_id:
            return sink.follows or self._chance.random() < sink.ratio
        return sink.ratio == self._ratio or self._chance.random() * self._ratio < sink.ratio

    async def close(self) -> None:
        """Send what is queued, within two seconds."""
        await asyncio.gather(*(sink.export.close() for sink in self._sinks))


def wanted(settings: Observe) -> bool:
    """Whether exchanges are recorded anywhere."""
    return settings.tracing.enabled or bool(settings.sentry.dsn and settings.sentry.traces_sample_rate)


def opened(
    settings: Observe,
    environ: Mapping[str, str],
    loop: asyncio.AbstractEventLoop,
    *,
    version: str,
    warn: Tell,
    info: Tell,
    chance: Random | None = None,
) -> Tracing:
    """Tracing to the collector and to Sentry, as far as they are ``wanted``, through the proxies of ``environ``.

    Raises ConfigError if an extra is not installed, or the DSN is invalid.
    """
    export, spans = _libraries("observe.tracing" if settings.tracing.enabled else "observe.sentry.tracesSampleRate")
    tracing, sentry, sinks = settings.tracing, settings.sentry, []

    def add(endpoint: str, headers: Mapping[str, str], sink: str, ratio: float, follows: bool) -> None:
        collector = export.collector(endpoint, headers, proxy_url(endpoint, environ))
        tell = partial(warn, sink=sink), partial(info, sink=sink)
        sinks.append(SpanSink(export.Export(collector, loop, *tell), ratio, follows))

    if tracing.enabled:
        add(tracing.endpoint, tracing.headers, "observe.tracing", tracing.sample_ratio, True)
    if sentry.dsn and sentry.traces_sample_rate:
        add(*otlp_of(sentry.dsn), "observe.sentry", sentry.traces_sample_rate, False)
    more = langfuse.attributes_of if tracing.enabled and langfuse.is_langfuse(tracing.endpoint) else None
    made = spans.Spans(tracing.service_name, version, environment=sentry.environment, more=more)
    return Tracing(made, sinks, chance or Random())


def _libraries(setting: str) -> tuple[Any, Any]:
    try:
        from proxy.observe import export, spans
    except ImportError:
        text = "OpenTelemetry is not installed: pip install 'sluice-gateway[otel]'"
        raise ConfigError([f"{setting}: {text}"]) from None
    return export, spans
