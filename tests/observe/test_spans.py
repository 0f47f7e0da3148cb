from __future__ import annotations

from random import Random

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from proxy.dialects.table import OPAQUE
from proxy.exchange import Exchange
from proxy.observe.spans import UNROUTED, Spans
from proxy.routing.endpoints import Endpoint
from proxy.wire.trace_context import Parent, Trace
from tests.observe.exchanges import attempt_of, refused, settled

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND  # when the exchange of ``settled`` ends, at 103.0 of the loop's clock
ID = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def spans_of(exchange: Exchange, trace: Trace | None = None) -> list[ReadableSpan]:
    spans = Spans("a-name", "1.2.3", wall=lambda: NOW)
    found = spans.of(exchange, trace or Trace.begun(Random(1).getrandbits))
    encode_spans(found).SerializeToString()
    return found


def test_an_exchange_is_a_server_span_with_its_attempts_as_children() -> None:
    first, second = attempt_of(100.5, 101.0, "server_error"), attempt_of(101.0, 103.0)
    first.span, second.span = "00000000000000aa", "00000000000000bb"
    own, failed, good = spans_of(settled(attempts=[first, second]))
    assert [span.kind for span in (own, failed, good)] == [SpanKind.SERVER, SpanKind.CLIENT, SpanKind.CLIENT]
    assert [span.name for span in (own, failed, good)] == [
        "chat deepseek-r1",
        "chat deepseek/deepseek-r1:free",
        "chat deepseek/deepseek-r1:free",
    ]
    assert own.context
    assert failed.context
    assert good.context
    assert (failed.context.span_id, good.context.span_id) == (0xAA, 0xBB)
    assert failed.parent == good.parent == own.context
    assert len({span.context.trace_id for span in (own, failed, good) if span.context}) == 1
    assert own.parent is None


def test_timestamps_are_relative_to_the_wall_clock() -> None:
    attempt = attempt_of(100.5, 102.5)
    attempt.connected, attempt.headers, attempt.first_content = 100.625, 100.75, 101.0
    own, child = spans_of(settled(attempts=[attempt]))
    assert (own.start_time, own.end_time) == (NOW - 3 * SECOND, NOW)
    assert (child.start_time, child.end_time) == (NOW - 5 * SECOND // 2, NOW - SECOND // 2)
    assert [(event.name, event.timestamp) for event in child.events] == [
        ("request sent", NOW - SECOND * 19 // 8),
        ("response headers", NOW - SECOND * 9 // 4),
        ("first content", NOW - 2 * SECOND),
    ]


def test_an_unfinished_attempt_ends_with_its_exchange() -> None:
    _, child = spans_of(settled(attempts=[attempt_of(101.0, None, "ours")]))
    assert child.end_time == NOW
    assert child.events == ()


def test_the_client_span_is_the_parent_and_its_tracestate_is_kept() -> None:
    trace = Trace.within(Parent(ID, SPAN, 3), "vendor=1", Random(1).getrandbits)
    [own] = spans_of(settled(), trace)
    assert own.context
    assert own.parent
    assert own.parent.span_id == int(SPAN, 16)
    assert own.parent.is_remote
    assert own.context.trace_id == int(ID, 16)
    assert own.context.trace_flags == 3
    assert own.context.trace_state.get("vendor") == "1"


def test_a_failed_attempt_has_its_error_and_a_hedged_loser_has_none() -> None:
    failed, outrun = attempt_of(100.0, 101.0, "unreachable"), attempt_of(100.0, 101.0, "outrun")
    failed.reason = "The provider could not be reached."
    own, first, second = spans_of(settled(attempts=[failed, outrun]))
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, failed.reason)
    assert second.status.status_code is own.status.status_code is StatusCode.UNSET


def test_an_exchange_is_an_error_only_if_the_server_failed() -> None:
    [ours] = spans_of(refused("no_candidate", 503))
    [theirs] = spans_of(refused("model_not_found", 404))
    assert (ours.status.status_code, theirs.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)


def test_an_exchange_without_an_endpoint_has_its_own_span_name() -> None:
    exchange = refused("invalid_api_key", 401)
    exchange.endpoint, exchange.model = Endpoint("-", OPAQUE, False, False, "opaque", "any"), ""
    [span] = spans_of(exchange)
    assert span.name == UNROUTED


def test_the_resource_names_the_service_and_the_process() -> None:
    [span] = spans_of(settled())
    assert span.resource.attributes["service.name"] == "a-name"
    assert span.resource.attributes["service.version"] == "1.2.3"
    assert span.resource.attributes["service.instance.id"]
    assert span.instrumentation_scope
    assert span.instrumentation_scope.name == "sluice"


def test_names_that_cannot_be_encoded_do_not_fail_the_batch() -> None:
    [span] = spans_of(settled(model="m\ud800", response_model="\udfff"))
    assert span.name == "chat m?"
