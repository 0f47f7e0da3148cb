"""``routing.streamRecovery: continue``: let another model continue a stream that broke.

The next model gets the text so far, as the beginning of its answer (prefill). The client gets one stream.
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxy.dialects.call import Call
from proxy.dialects.openai.transcript import Transcript
from proxy.dispatch import outcome
from proxy.dispatch.attempt import AttemptRun
from proxy.dispatch.dispatch import Dispatch, RunAttempt, conclude_exchange
from proxy.dispatch.failure import AttemptFailure
from proxy.errors import ClientGone, GatewayError, UpstreamFault
from proxy.server.outlet import Outlet, OutletWrapper

_MESSAGE: Final = 64  # bytes around the text of a message

_encode = msgspec.json.Encoder().encode


class Continuation:
    """Wrapper that runs attempts which continue the text of earlier ones."""

    def __init__(self, dispatch: Dispatch, run_attempt: RunAttempt, call: Call) -> None:
        self._dispatch = dispatch
        self._run_attempt = run_attempt
        self._call = call
        self._transcript = Transcript()  # of what the client has received
        self._broken: ContinuedOutlet | None = None  # of the last attempt, if its stream broke

    async def run_attempt(self, run: AttemptRun) -> AttemptFailure | None:
        exchange, responder, text = self._dispatch.exchange, run.responder, self._transcript.text
        if self._broken is not None:
            self._broken = None
            exchange.forget_break()
        # A copy: events before the content commit, and of an attempt that loses a race, are discarded.
        outlet = ContinuedOutlet(run.outlet, self._transcript.copy(), continues=bool(text))
        run.outlet = outlet
        run.event_hook = outlet.filter_event
        run.closing_comment = lambda: b"" if outlet.keeps else responder.epilogue()
        run.stream_ended = lambda run: self._ended(run, outlet)
        run.keeps_body = True
        if text:
            run.changes = {"messages": _prefilled(self._call, text)}
        failure = await self._run_attempt(run)
        if failure is not None:
            if run.attempt.first_content is not None:
                reply = responder.request.reply
                run.attempt.bytes_out = reply.bytes_out - sum(each.bytes_out for each in exchange.attempts)
            self._prepare_next(failure, outlet)
        return failure

    def conclude(self, dispatch: Dispatch, failure: AttemptFailure | None) -> None:
        """No deployment can continue: end the stream with the error that broke it."""
        if self._broken is None:
            conclude_exchange(dispatch, failure)
        else:
            self._broken.end_broken()

    def _ended(self, run: AttemptRun, outlet: ContinuedOutlet) -> AttemptFailure | None:
        """A failure if the stream broke and its text can be continued."""
        fault, self._transcript = outlet.fault, outlet.transcript
        if outlet.keeps and run.responder.request.gone:
            if isinstance(fault, UpstreamFault):
                outcome.failed(run, fault)
            raise ClientGone  # it disconnected before the error was sent
        if isinstance(fault, UpstreamFault) and self._transcript.continuable and self._call.choices == 1:
            return outcome.failed(run, fault)
        if fault is not None:
            outlet.end_broken()
        outcome.streamed(run)
        return None

    def _prepare_next(self, failure: AttemptFailure, outlet: ContinuedOutlet) -> None:
        dispatch, attempt = self._dispatch, failure.attempt
        if self._transcript.text:
            self._call.added = len(self._transcript.text.encode()) + _MESSAGE
            dispatch.plan.require_prefill()
            if outlet.fault is not None:
                self._broken = outlet
                # The deadline limits waiting: while content came, the client did not wait.
                dispatch.deadline += dispatch.dispatcher.now() - attempt.began
                failure.others_only = not attempt.deployment.prefills


class ContinuedOutlet(OutletWrapper):
    """The outlet of one attempt, which holds back the error of a broken stream.

    ``transcript`` is that of earlier attempts; events of this one are added. ``continues``: an earlier attempt had
    sent text. ``fault`` is why the stream broke.
    """

    __slots__ = ("_continues", "_kept", "fault", "transcript")

    def __init__(self, outlet: Outlet, transcript: Transcript, *, continues: bool) -> None:
        super().__init__(outlet)
        self._continues = continues
        self._kept: list[bytes] = []
        self.transcript = transcript
        self.fault: GatewayError | None = None

    def filter_event(self, block: bytes, failed: bool) -> bytes:
        """The bytes to forward for an event. ``failed``: the provider's own error, or an event after it."""
        if failed:
            self._kept.append(block)
            return b""
        opening = self.transcript.add(block)
        return b"" if opening and self._continues else block  # SDKs would append a second role to the first

    @property
    def keeps(self) -> bool:
        """Whether the provider's own error, or what followed it, is held back."""
        return bool(self._kept)

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        self.fault = fault
        self._kept.append(last)

    def end_broken(self) -> None:
        """End the client's answer with what was kept back."""
        assert self.fault is not None
        self.outlet.break_off(self.fault, b"".join(self._kept))


def _prefilled(call: Call, text: str) -> bytes:
    """``messages`` of the call with ``text`` as the assistant's last message."""
    messages = (call.members.raw("messages") or b"[]").rstrip()[:-1]
    comma = b"" if messages.strip() == b"[" else b","
    return b"%b%b%b]" % (messages, comma, _encode({"role": "assistant", "content": text}))
