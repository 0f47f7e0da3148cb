"""The choice of how to relay an answer: by its head, the endpoint, and whether the client requested a stream."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from proxy.client.head import Head
from proxy.errors import BrokenAnswer
from proxy.relay.body import Body
from proxy.relay.collect import Collector, ErrorCollector
from proxy.relay.event_filter import EventFilter
from proxy.relay.events import EventRelay
from proxy.relay.pipe import ErrorPipe, Pipe
from proxy.relay.sniff import Sniffer, may_be_events
from proxy.routing.endpoints import OPAQUE, Endpoint

if TYPE_CHECKING:
    from proxy.client.connection import UpstreamConnection
    from proxy.relay.pump import AnswerPump
    from proxy.relay.upstream_call import UpstreamCall

MAX_ERROR: Final = 64 * 1024  # bytes of a provider's error that are read; a longer one is replaced by our own text
_EVENT_STREAM: Final = b"text/event-stream"


class Treatment(Enum):
    """How the body of an answer is relayed."""

    EVENTS = auto()  # event by event
    SNIFF = auto()  # its first bytes show whether it is an event stream
    COLLECT = auto()  # JSON: complete and checked before any of it is sent
    ERROR = auto()  # collected; dispatch decides what follows
    PIPE = auto()  # as it comes
    ERROR_PIPE = auto()  # as it comes, without the gateway's credentials


def treatment(head: Head, endpoint: Endpoint, streams: bool) -> Treatment:
    """Choose by the head alone. Raises BrokenAnswer for an answer that does not fit the endpoint."""
    status, kind = head.status, head.kind
    if endpoint is OPAQUE:
        return Treatment.ERROR_PIPE if status >= 400 and not head.coding else Treatment.PIPE
    if status >= 400:
        return Treatment.ERROR
    if status >= 300:
        raise BrokenAnswer("The provider redirected the request; redirects are not followed.", code="upstream_redirect")
    if kind == _EVENT_STREAM:
        if not streams and endpoint.body == endpoint.answer == "json":
            raise BrokenAnswer("The provider sent an event stream that was not requested.")
        return Treatment.EVENTS
    if streams and may_be_events(kind, endpoint):
        return Treatment.SNIFF
    if endpoint.answer != "json" and not kind.endswith((b"/json", b"+json")):
        return Treatment.PIPE
    return Treatment.COLLECT


def body_for(chosen: Treatment, call: UpstreamCall, pump: AnswerPump, head: Head) -> Body:
    """Make the body of an answer that is not an event stream."""
    outlet, context = call.outlet, call.context
    # The length of a compressed body is known only if it stays compressed.
    length = None if head.coding and call.exchange.endpoint is not OPAQUE else head.length
    match chosen:
        case Treatment.SNIFF:
            return Sniffer(pump.sniffed)
        case Treatment.ERROR:
            return ErrorCollector(pump, length, MAX_ERROR, context.budget)
        case Treatment.ERROR_PIPE:
            return ErrorPipe(pump, outlet, head.status, length, MAX_ERROR, _redact_of(call))
    pipe = Pipe(pump, outlet, head.status, length)
    if chosen is Treatment.PIPE:
        return pipe
    whole = call.upstream_request.attempt_context.translates
    return Collector(pump, pipe, length, context.max_answer, context.budget, whole=whole)


def relay_for(call: UpstreamCall, pump: AnswerPump, connection: UpstreamConnection) -> EventRelay:
    """Make the relay of an event stream."""
    attempt_context = call.upstream_request.attempt_context
    outlet, exchange, reader = call.outlet, call.exchange, attempt_context.reader()
    translation = attempt_context.translation()
    event_filter = EventFilter(
        pump,
        outlet,
        exchange,
        reader,
        attempt_context.event_hook,
        _redact_of(call),
        attempt_context.epilogue,
        translation,
    )
    return EventRelay(pump, connection, outlet, exchange, event_filter, translation)


def _redact_of(call: UpstreamCall) -> Callable[[bytes], bytes]:
    """The function that removes the gateway's credentials from an error."""
    return call.upstream_request.attempt_context.attempt.deployment.provider.redact.body
