"""Spans of an exchange for OpenTelemetry's exporter: one for the exchange, one for each attempt.

They are built after the exchange, from recorded times: starting and ending spans would cost 25 us each, this costs 3.
Only public attributes of the SDK are used.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from proxy.exchange import Attempt, Exchange
from proxy.observe.conventions import (
    Attributes,
    blamed,
    is_failure,
    model_of,
    of_attempt,
    of_exchange,
    operation_of,
    text_of,
)
from proxy.wire.trace_context import Trace

UNROUTED: Final = "refused request"  # name of the span without an endpoint
_UNSET: Final = Status(StatusCode.UNSET)
_FAILED: Final = Status(StatusCode.ERROR)


# Attributes for one backend: of an exchange's span, or of that of one of its attempts.
MoreAttributes = Callable[[Exchange, Attempt | None], Attributes]


class Spans:
    """Builds spans. ``wall``: nanoseconds since 1970, which times of the loop's clock are converted to.

    ``environment``: of the deployment, ``""``: not named. ``more`` returns attributes beside those of the conventions.
    """

    def __init__(
        self,
        service: str,
        version: str,
        wall: Callable[[], int] = time.time_ns,
        *,
        environment: str = "",
        more: MoreAttributes | None = None,
    ) -> None:
        self._wall = wall
        self._more = more or _nothing
        facts = {"service.name": service, "service.version": version, "service.instance.id": str(uuid.uuid4())}
        if environment:
            facts["deployment.environment.name"] = environment
        self._resource = Resource.create(facts)
        self._scope = InstrumentationScope("sluice", version)

    def of(self, exchange: Exchange, trace: Trace) -> list[ReadableSpan]:
        """The span of a settled exchange, then one for each attempt."""
        frame = _Frame(exchange, trace, self._wall())
        return [
            self._exchange(exchange, frame),
            *(self._attempt(exchange, attempt, frame) for attempt in exchange.attempts),
        ]

    def _exchange(self, exchange: Exchange, frame: _Frame) -> ReadableSpan:
        return ReadableSpan(
            name=f"{frame.operation} {model_of(exchange)}".strip() or UNROUTED,
            context=frame.own,
            parent=frame.parent,
            resource=self._resource,
            attributes=of_exchange(exchange, frame.operation) | self._more(exchange, None),
            kind=SpanKind.SERVER,
            status=_FAILED if is_failure(exchange) else _UNSET,
            start_time=frame.at(exchange.began),
            end_time=frame.at(exchange.ended),
            instrumentation_scope=self._scope,
        )

    def _attempt(self, exchange: Exchange, attempt: Attempt, frame: _Frame) -> ReadableSpan:
        model = text_of(attempt.deployment.upstream_model or exchange.model)
        return ReadableSpan(
            name=f"{frame.operation} {model}".strip(),
            context=frame.context(attempt.span or frame.trace.new_span()),
            parent=frame.own,
            resource=self._resource,
            attributes=of_attempt(exchange, attempt, frame.operation, model) | self._more(exchange, attempt),
            events=tuple(_events(attempt, frame)),
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, text_of(attempt.reason) or None) if blamed(attempt) else _UNSET,
            start_time=frame.at(attempt.began),
            end_time=frame.at(attempt.ended),
            instrumentation_scope=self._scope,
        )


def _nothing(exchange: Exchange, attempt: Attempt | None) -> Attributes:
    """Default of ``more``."""
    return {}


class _Frame:
    """What the spans of one exchange share: operation, trace and time base."""

    __slots__ = ("_ended", "_flags", "_id", "_state", "_zero", "operation", "own", "parent", "trace")

    def __init__(self, exchange: Exchange, trace: Trace, wall: int) -> None:
        self.operation = operation_of(exchange)
        self._ended = exchange.ended if exchange.ended is not None else exchange.began
        self._zero = wall - int(self._ended * 1e9)  # exchanges are settled right after their end
        self.trace = trace
        self._id = int(trace.trace_id, 16)
        self._flags = TraceFlags(trace.flags)
        self._state = TraceState.from_header([trace.state]) if trace.state else None
        self.own = self.context(trace.span_id)
        self.parent = self.context(trace.parent_id, remote=True) if trace.parent_id else None

    def at(self, moment: float | None) -> int:
        """Nanoseconds since 1970; ``None``: the end of the exchange."""
        return self._zero + int((self._ended if moment is None else moment) * 1e9)

    def context(self, span_id: str, *, remote: bool = False) -> SpanContext:
        return SpanContext(self._id, int(span_id, 16), remote, self._flags, self._state)


def _events(attempt: Attempt, frame: _Frame) -> Iterator[Event]:
    moments = (
        ("request sent", attempt.connected),
        ("response headers", attempt.headers),
        ("first content", attempt.first_content),
    )
    for name, moment in moments:
        if moment is not None:
            yield Event(name, timestamp=frame.at(moment))
