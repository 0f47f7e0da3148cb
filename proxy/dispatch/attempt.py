"""One attempt: make the request, run the upstream call, turn its result into an answer or a failure.

``run_attempt`` runs a plain attempt. Hedging, hold and continuation wrap it: each sets fields of the ``AttemptRun``,
then runs the attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy import router_metadata
from proxy.billing import plausible
from proxy.dialects.translation.absent import ContentAbsent
from proxy.dispatch import outcome, verdict
from proxy.dispatch.cloud import run_in_cloud
from proxy.dispatch.contents import fetch_contents
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.race import Lost, Race
from proxy.errors import BrokenAnswer, ClientFault, ClockExpired, Overloaded, UpstreamFault
from proxy.relay.upstream_call import UpstreamCall
from proxy.routing.estimate import rough_input, unseen_output

if TYPE_CHECKING:
    from proxy.config.timeouts import Clocks
    from proxy.dialects.base import AnswerInfo, Reader
    from proxy.dialects.translation.stream import StreamTranslation
    from proxy.dispatch.dispatch import Dispatch
    from proxy.dispatch.translated_call import TranslatedCall
    from proxy.exchange import Attempt
    from proxy.ledger.ledger import Ledger
    from proxy.relay.body import CollectedAnswer
    from proxy.relay.event_filter import EventHook
    from proxy.responder import Responder
    from proxy.server.outlet import Outlet


class AttemptRun(Struct, eq=False):
    """One running attempt, and where its answer goes. Implements the relay's ``AttemptContext``.

    The wrappers set the fields after ``pings``.
    """

    dispatch: Dispatch
    attempt: Attempt
    responder: Responder
    outlet: Outlet
    deadline: float  # of the content commit
    pings: bool  # the client waits for a stream, and may be pinged
    race: Race | None = None  # with another attempt at the same time
    event_hook: EventHook | None = None  # gets each event before the client, and may change it
    changes: Mapping[str, bytes | None] | None = None  # more members of the body to replace
    closing_comment: Callable[[], bytes] | None = None  # instead of the responder's
    stream_ended: Callable[[AttemptRun], AttemptFailure | None] | None = None  # instead of ``outcome.streamed``
    streams_only: bool = False  # an answer that is no event stream is a failure
    keeps_body: bool = False  # another attempt may follow the content commit
    lines: bytes = b""  # header lines of the answer, from the commit on
    translated: TranslatedCall | None = None  # for a provider that does not speak the client's dialect
    reading: Reader | None = None  # the reader of the stream

    @property
    def replayable(self) -> bool:
        """Whether the request may be sent again if a kept-alive connection died under it."""
        return self.responder.call is not None and self.dispatch.exchange.endpoint.replayable

    @property
    def clocks(self) -> Clocks:
        call, deployment = self.responder.call, self.attempt.deployment
        if call is None:
            return deployment.media_clocks  # an upload is media, or unknown
        if self.dispatch.exchange.endpoint.media:
            return deployment.media_stream_clocks if call.stream else deployment.media_clocks
        return deployment.stream_clocks if call.stream else deployment.clocks

    def reader(self) -> Reader:
        call, attempt = self.responder.call, self.attempt
        reader = attempt.deployment.dialects[self.dispatch.exchange.endpoint.path].reader
        if self.translated is not None:
            self.reading = reader(self.translated.choices)  # the usage is for the translation
        else:
            self.reading = reader() if call is None else reader(call.choices, attempt.asks_usage, call.wants_usage)
        return self.reading

    @property
    def translates(self) -> bool:
        return self.translated is not None

    def translation(self) -> StreamTranslation | None:
        return None if self.translated is None else self.translated.answer.stream()

    def ping(self) -> None:
        self.responder.ping()

    def header_lines(self, kind: bytes, provider_lines: bytes) -> bytes:
        self.lines = lines = self.responder.header_lines(kind, provider_lines)
        return lines

    def epilogue(self) -> bytes:
        self.note_dropped()
        if self.reading is not None and self.responder.wants_metadata:
            self.attempt.usage, self.attempt.partial = plausible(self.reading.usage), not self.reading.whole
        return self.responder.epilogue() if self.closing_comment is None else self.closing_comment()

    def note_dropped(self) -> None:
        """Note what the translation has lost so far of the request and the answer."""
        if self.translated is not None:
            self.attempt.dropped = self.dispatch.exchange.dropped = self.translated.all_dropped

    def estimate_input(self) -> None:
        """Estimate the tokens of the request while its body is there: the provider may not report them."""
        exchange = self.dispatch.exchange
        if exchange.estimated_input is None:
            estimate = exchange.catalog.config.rate_limiting.token_estimate
            exchange.estimated_input = rough_input(exchange.endpoint, self.responder.call, estimate)

    def committed(self) -> None:
        if self.race is not None:
            self.race.win(self.attempt)
        verdict.commit(self.attempt, self.dispatch.dispatcher.now())
        self.estimate_input()
        if not self.keeps_body and self.responder.call is not None:
            self.responder.release_request()


async def run_attempt(run: AttemptRun) -> AttemptFailure | None:
    """Run one attempt. ``None``: the client has its answer, or the error of a stream that had begun.

    If it is ended from outside, raises the reason: ClientGone, Lost, GatewayError, CancelledError.
    """
    dispatch, attempt, responder = run.dispatch, run.attempt, run.responder
    exchange, dispatcher, deployment = dispatch.exchange, dispatch.dispatcher, attempt.deployment
    request, live, race = responder.request, deployment.live, run.race
    try:
        try:
            upstream_request = dispatch.make_request(run)
        except ContentAbsent as absent:
            await fetch_contents(run, absent)
            upstream_request = dispatch.make_request(run)
    except ClientFault as fault:  # of a translation
        return outcome.untranslatable(run, fault)
    upstream_call = UpstreamCall(
        dispatcher.context,
        request,
        exchange,
        dispatcher.origins[deployment.sites[exchange.endpoint.path]],
        upstream_request,
        run.outlet,
    )
    if dispatcher.ledger is not None:
        _open_entry(run, dispatcher.ledger)
    live.in_flight += 1
    request.flow = upstream_call if race is None else race.enter(attempt, upstream_call)
    try:
        try:
            answer = await (run_in_cloud(run, upstream_call) if deployment.cloud else upstream_call.run())
        finally:
            upstream_call.finish()
            attempt.connected, attempt.headers = upstream_call.sent_at, upstream_call.headed_at
        if answer is None:
            if run.stream_ended is not None:
                return run.stream_ended(run)
            run.note_dropped()
            outcome.streamed(run)
            return None
        if answer.status >= 400:
            return outcome.refused(run, answer)
        _deliver(run, answer)
        return None
    except UpstreamFault as fault:
        exchange.error_detail = fault.detail
        if isinstance(fault, ClockExpired) and fault.clock != "connect":
            _give_up(run, upstream_call)
        return outcome.failed(run, fault)
    except BaseException as end:
        _give_up(run, upstream_call)
        _estimate_output(run, upstream_call)
        outcome.ended(run, end, upstream_call.waited)
        raise
    finally:
        if race is None or race.leave(attempt):
            request.flow = None
        live.in_flight -= 1
        if attempt.ended is None:
            attempt.ended = dispatcher.now()


def _give_up(run: AttemptRun, upstream_call: UpstreamCall) -> None:
    """Note that nothing waits for the answer any more: the provider has read the request, and bills it."""
    if upstream_call.sent_at is not None and not upstream_call.unsent:
        run.attempt.given_up = True
        run.estimate_input()


def _estimate_output(run: AttemptRun, upstream_call: UpstreamCall) -> None:
    """Estimate what the model wrote of a plain answer until the attempt was ended from outside.

    Not after a timeout of the provider: one that is silent for so long has failed.
    """
    attempt, exchange = run.attempt, run.dispatch.exchange
    if attempt.given_up and upstream_call.sent_at is not None:
        seconds = run.dispatch.dispatcher.now() - upstream_call.sent_at
        estimate = exchange.catalog.config.rate_limiting.token_estimate
        call = run.responder.call
        attempt.unseen_output = unseen_output(exchange.endpoint, call, attempt.deployment, estimate, seconds)


def _open_entry(run: AttemptRun, ledger: Ledger) -> None:
    """Open the attempt's entry in the ledger. Raises Overloaded if that is not possible: nothing must be sent."""
    try:
        ledger.open(run.dispatch.exchange, run.attempt, run.responder.call)
    except Overloaded as refusal:
        outcome.ended(run, refusal, 0.0)
        run.attempt.ended = run.dispatch.dispatcher.now()
        raise


def _deliver(run: AttemptRun, answer: CollectedAnswer) -> None:
    """Send a collected answer. Raises UpstreamFault for an unusable one, Lost as ``_checked``."""
    attempt, responder, exchange = run.attempt, run.responder, run.dispatch.exchange
    try:
        if run.race is None and not run.streams_only:
            info = responder.read_answer(answer, attempt.deployment)
        else:
            info = _checked(run, answer)
    except (UpstreamFault, Lost):
        _note_unused(run, answer)
        raise
    attempt.usage, attempt.response_model, attempt.answer_bytes = plausible(info.usage), info.model, len(answer.body)
    if attempt.usage is None:
        run.estimate_input()
    if run.translated is not None:
        answer.body = run.translated.answer.whole(answer.body)
        run.note_dropped()
        if attempt.dropped:
            responder.attempt_lines = router_metadata.attempt_lines(attempt)
    attempt.ended = now = run.dispatch.dispatcher.now()
    verdict.succeed(attempt, exchange.endpoint.path, now, collected=True)
    if run.translated is not None and exchange.stream:
        responder.send_events(answer, info)
    else:
        responder.send_answer(answer, info)


def _note_unused(run: AttemptRun, answer: CollectedAnswer) -> None:
    """Note the usage of an answer that goes to nobody: it is billed all the same."""
    attempt, path = run.attempt, run.dispatch.exchange.endpoint.path
    with suppress(UpstreamFault):
        info = attempt.deployment.dialects[path].reader.read_answer(answer.body)
        attempt.usage, attempt.response_model = plausible(info.usage), info.model
        attempt.answer_bytes = len(answer.body)
        if attempt.usage is None:
            run.estimate_input()


def _checked(run: AttemptRun, answer: CollectedAnswer) -> AnswerInfo:
    """Check a collected answer of a race, or of an attempt that needs a stream.

    Raises Lost if another attempt has won, UpstreamFault for an unusable answer.
    """
    race = run.race
    if race is not None:
        race.check(run.attempt)  # first: once another answer has begun, this one looks broken
    if run.streams_only:
        raise BrokenAnswer("The provider's answer is no event stream.")
    info = run.responder.read_answer(answer, run.attempt.deployment)
    if race is not None:
        race.win(run.attempt)
    return info
