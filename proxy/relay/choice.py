"""What is done with an answer: decided from its head, the endpoint, and whether the client asked for a stream."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from proxy.client.head import Head
from proxy.errors import BrokenAnswer
from proxy.exchange import Exchange
from proxy.relay.collect import Body, Collector, ErrorCollector, ErrorPipe, Pipe
from proxy.relay.events import EventRelay
from proxy.relay.sniff import Sniffer, may_be_events
from proxy.relay.upstream_request import event_hook
from proxy.routing.endpoints import OPAQUE, Endpoint

if TYPE_CHECKING:
    from proxy.client.connection import UpstreamConnection
    from proxy.relay.pump import AnswerPump
    from proxy.relay.upstream_call import UpstreamCall

MAX_ERROR: Final = 64 * 1024  # bytes of a provider's error that are read; a longer one is replaced by a text of ours
_EVENT_STREAM: Final = b"text/event-stream"


class Treatment(Enum):
    """How the body of an answer is relayed."""

    EVENTS = auto()  # event by event
    SNIFF = auto()  # its first bytes tell whether it is an event stream
    COLLECT = auto()  # JSON: checked whole before any of it is sent
    ERROR = auto()  # collected, for the dispatch to judge
    PIPE = auto()  # as it comes
    ERROR_PIPE = auto()  # as it comes, without the gateway's credentials


def treatment(head: Head, endpoint: Endpoint, streams: bool) -> Treatment:
    """Choose by the head alone. Raises BrokenAnswer for an answer that the endpoint cannot have."""
    status, kind = head.status, head.kind
    if endpoint is OPAQUE:
        return Treatment.ERROR_PIPE if status >= 400 and not head.coding else Treatment.PIPE
    if status >= 400:
        return Treatment.ERROR
    if status >= 300:
        raise BrokenAnswer("The provider redirected the request; redirects are not followed.", code="upstream_redirect")
    if kind == _EVENT_STREAM:
        if not streams and endpoint.body == endpoint.answer == "json":
            raise BrokenAnswer("The provider sent an event stream that was not asked for.")
        return Treatment.EVENTS
    if streams and may_be_events(kind, endpoint):
        return Treatment.SNIFF
    if endpoint.answer != "json" and not kind.endswith((b"/json", b"+json")):
        return Treatment.PIPE
    return Treatment.COLLECT


def expected_whole(head: Head, exchange: Exchange, limit: int) -> bool:
    """Whether it is a JSON answer of known length to collect: most of these come in one read.

    The common case of ``Treatment.COLLECT``, which needs no pump.
    """
    length = head.length
    return (
        head.kind == b"application/json"
        and head.status == 200
        and length is not None
        and 0 < length <= limit
        and not head.coding
        and not exchange.stream
        and exchange.endpoint is not OPAQUE
    )


def body_for(chosen: Treatment, call: UpstreamCall, pump: AnswerPump, head: Head) -> Body:
    """What takes the bytes of an answer that does not come as events."""
    outlet, budget, status = call.outlet, call.context.budget, head.status
    length = None if head.coding else head.length
    match chosen:
        case Treatment.SNIFF:
            return Sniffer(pump.sniffed)
        case Treatment.ERROR:
            return ErrorCollector(pump, outlet, status, length, MAX_ERROR, budget)
        case Treatment.ERROR_PIPE:
            return ErrorPipe(pump, outlet, status, length, MAX_ERROR, pump.redacted)
        case Treatment.PIPE:
            return Pipe(pump, outlet, status, head.length if call.exchange.endpoint is OPAQUE else length)
    return Collector(pump, outlet, status, length, call.context.max_answer, budget)


def relay_for(call: UpstreamCall, pump: AnswerPump, connection: UpstreamConnection) -> EventRelay:
    """What takes the bytes of an event stream."""
    attempt_context = call.upstream_request.attempt_context
    reader, listener = attempt_context.reader(), attempt_context.listener
    hook = None if listener is None else event_hook(listener, reader)
    return EventRelay(pump, connection, call.outlet, call.exchange, reader, hook)
