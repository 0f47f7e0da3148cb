"""One attempt: make the request, run the upstream call, turn its result into an answer or a failure.

``run_attempt`` runs a plain attempt. Hedging, hold and continuation wrap it: each sets fields of the ``AttemptRun``,
then runs the attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy import router_metadata
from proxy.dispatch import outcome, verdict
from proxy.dispatch.cloud import run_in_cloud
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.race import Lost, Race
from proxy.errors import BrokenAnswer, ClientFault, ClientGone, GatewayError, UpstreamFault
from proxy.relay.upstream_call import UpstreamCall
from proxy.routing import rules
from proxy.routing.rules import FailureKind

if TYPE_CHECKING:
    from proxy.config.timeouts import Clocks
    from proxy.dialects.base import AnswerInfo, Reader
    from proxy.dialects.translation.stream import StreamTranslation
    from proxy.dispatch.dispatch import Dispatch
    from proxy.dispatch.translate import TranslatedCall
    from proxy.exchange import Attempt
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
            return reader()  # the usage is for the translation
        return reader() if call is None else reader(call.choices, attempt.asks_usage, call.wants_usage)

    def translation(self) -> StreamTranslation | None:
        return None if self.translated is None else self.translated.stream()

    def ping(self) -> None:
        self.responder.ping()

    def header_lines(self, kind: bytes, provider_lines: bytes) -> bytes:
        self.lines = lines = self.responder.header_lines(kind, provider_lines)
        return lines

    def epilogue(self) -> bytes:
        self.note_dropped()
        return self.responder.epilogue() if self.closing_comment is None else self.closing_comment()

    def note_dropped(self) -> None:
        """Note what the translation has lost so far of the request and the answer."""
        if self.translated is not None:
            self.attempt.dropped = self.dispatch.exchange.dropped = self.translated.all_dropped

    def committed(self) -> None:
        if self.race is not None:
            self.race.win(self.attempt)
        verdict.commit(self.attempt, self.dispatch.dispatcher.now())
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
    live.in_flight += 1
    request.flow = upstream_call if race is None else race.enter(attempt, upstream_call)
    try:
        try:
            answer = await (run_in_cloud(run, upstream_call) if deployment.cloud else upstream_call.run())
        finally:
            upstream_call.finish()
        if answer is None:
            if run.stream_ended is not None:
                return run.stream_ended(run)
            run.note_dropped()
            outcome.streamed(run)
            return None
        if answer.status >= 400:
            return outcome.refused(run, answer)
        info = responder.read_answer(answer) if race is None and not run.streams_only else _checked(run, answer)
        if run.translated is not None:
            answer.body = run.translated.answer(answer.body)
            run.note_dropped()
            responder.attempt_lines = router_metadata.attempt_lines(attempt)
        attempt.ended = now = dispatcher.now()
        verdict.succeed(attempt, exchange.endpoint.path, now, collected=True)
        responder.send_answer(answer, info)
        return None
    except UpstreamFault as fault:
        exchange.error_detail = fault.detail
        return outcome.failed(run, fault)
    except BaseException as end:
        now = dispatcher.now()
        kind = verdict.cancel(attempt, _kind_of(end), upstream_call.waited, exchange.endpoint.path, now)
        attempt.failure = kind.value
        raise
    finally:
        if race is None or race.leave(attempt):
            request.flow = None
        live.in_flight -= 1
        attempt.connected, attempt.headers = upstream_call.sent_at, upstream_call.headed_at
        if attempt.ended is None:
            attempt.ended = dispatcher.now()


def _checked(run: AttemptRun, answer: CollectedAnswer) -> AnswerInfo:
    """Check a collected answer of a race, or of an attempt that needs a stream.

    Raises Lost if another attempt has won, UpstreamFault for an unusable answer.
    """
    race = run.race
    if race is not None:
        race.check(run.attempt)  # first: once another answer has begun, this one looks broken
    if run.streams_only:
        raise BrokenAnswer("The provider's answer is no event stream.")
    info = run.responder.read_answer(answer)
    if race is not None:
        race.win(run.attempt)
    return info


def _kind_of(end: BaseException) -> FailureKind:
    """Failure kind of an attempt that was ended from outside."""
    if isinstance(end, Lost):
        return FailureKind.OUTRUN
    return rules.kind_of_fault(end) if isinstance(end, (GatewayError, ClientGone)) else FailureKind.OURS
