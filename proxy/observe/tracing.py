"""Tracing with OpenTelemetry: which exchanges are recorded, and where their spans are sent.

Spans are built once, when the exchange is settled, from times that are recorded anyway. Only their IDs are made
before, for the header of upstream requests. The libraries (extra ``otel``) are imported by ``opened``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDictProxy

from proxy.config.proxies import proxy_url
from proxy.config.schema import TracingSettings as Settings
from proxy.errors import ConfigError
from proxy.exchange import Exchange
from proxy.wire import trace_context
from proxy.wire.trace_context import Trace

if TYPE_CHECKING:
    from proxy.observe.export import Export
    from proxy.observe.spans import Spans

Tell = Callable[..., None]  # a message and the fields of a log line


class Tracing:
    """``begin`` and ``settle`` are called once per exchange. They neither wait nor raise.

    The trace context of a client decides whether it is recorded; of all other exchanges, ``ratio`` are.
    """

    def __init__(self, spans: Spans, export: Export, ratio: float, chance: Random) -> None:
        self._spans = spans
        self._export = export
        self._ratio = ratio
        self._chance = chance

    def __repr__(self) -> str:
        return f"<Tracing {self._export!r}>"

    @property
    def lost(self) -> int:
        """Number of spans that did not reach the collector."""
        return self._export.lost

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
            if trace is not None and self._export.admits(1 + len(exchange.attempts)):
                self._export.put(self._spans.of(exchange, trace))

    async def close(self) -> None:
        """Send what is queued, within two seconds."""
        await self._export.close()


def opened(
    settings: Settings,
    environ: Mapping[str, str],
    loop: asyncio.AbstractEventLoop,
    *,
    version: str,
    warn: Tell,
    info: Tell,
    chance: Random | None = None,
) -> Tracing:
    """Tracing to ``settings.endpoint``, through the proxy that ``environ`` names for it.

    Raises ConfigError if the extra is not installed.
    """
    export, spans = _libraries()
    collector = export.collector(settings.endpoint, settings.headers, proxy_url(settings.endpoint, environ))
    return Tracing(
        spans.Spans(settings.service_name, version),
        export.Export(collector, loop, warn, info),
        settings.sample_ratio,
        chance or Random(),
    )


def _libraries() -> tuple[Any, Any]:
    try:
        from proxy.observe import export, spans
    except ImportError:
        text = "OpenTelemetry is not installed: pip install 'sluice-gateway[otel]'"
        raise ConfigError([f"observe.tracing: {text}"]) from None
    return export, spans
