"""What may be done for a stream beyond failing over before its content: ``routing.streamRecovery``.

``hold`` collects the answer whole, failing over as often as it takes, and then sends it as a stream. While the client
waits it is pinged; the first ping commits the status 200, and until then a failure still has a status of its own.
``continue`` lets another model go on from where a broken stream stopped.
"""

from __future__ import annotations

import asyncio

import msgspec

from proxy.dialects.openai_answer import AnswerInfo
from proxy.dialects.openai_transcript import Transcript
from proxy.dispatch.calling import Calling
from proxy.dispatch.dispatcher import Dispatcher
from proxy.dispatch.failure import AttemptFailure
from proxy.errors import BrokenAnswer, ClientGone, GatewayError, UpstreamFault
from proxy.exchange import Attempt, Exchange
from proxy.relay.collect import Answer
from proxy.relay.held import Held
from proxy.responder import Responder
from proxy.routing.deployment import Deployment
from proxy.routing.plan import Plan
from proxy.routing.rules import RULES, Next
from proxy.server.outlet import Outlet, OutletWrapper
from proxy.wire.call import Call

_encode = msgspec.json.Encoder().encode


class Holding(Calling):
    """The client sees nothing of an answer but pings until it is whole."""

    _keeps_body = True

    def __init__(self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call) -> None:
        super().__init__(dispatcher, responder, plan, call)
        self._pings = False  # ``run`` sees to them all: an attempt would write them into what is held
        self._held = self._reply()
        self._lines = b""  # of the answer's header

    async def run(self) -> None:
        context = self._dispatcher.context
        pings = context.loop.create_task(self._ping()) if context.ping_after else None
        try:
            await super().run()
        finally:
            if pings is not None:
                pings.cancel()
            self._held.release()

    async def _ping(self) -> None:
        context, request = self._dispatcher.context, self._responder.request
        await asyncio.sleep(self._exchange.began + context.ping_after - context.loop.time())
        while not request.gone:
            self._responder.ping()
            await asyncio.sleep(context.ping_every)

    def lines(self, kind: bytes, provider_lines: bytes) -> bytes:
        """Kept as well: they go out when the answer is whole, unless a ping did before."""
        self._lines = super().lines(kind, provider_lines)
        return self._lines

    def epilogue(self) -> bytes:
        """Always: a ping may come, and commit the status, until the answer is sent."""
        return self._responder.closing_comment()

    def _reply(self) -> Held:
        context = self._dispatcher.context
        self._held = Held(context.max_answer, context.budget)
        return self._held

    def _claim(self, attempt: Attempt, answer: Answer) -> AnswerInfo:
        """Whether or not a ping has promised one, what is held is a stream."""
        raise BrokenAnswer("The provider's answer is no event stream.")

    def _streamed(self, attempt: Attempt) -> AttemptFailure | None:
        fault = self._held.fault
        if isinstance(fault, UpstreamFault):
            self._exchange.first_content = None
            _forget(self._exchange)
            return self._failed(attempt, fault)
        if fault is not None:  # it is our own: too much to hold, or we stop
            raise fault
        if self._responder.request.gone:
            raise ClientGone
        super()._streamed(attempt)
        self._exchange.first_content = self._dispatcher.context.loop.time()
        outlet = self._responder.outlet
        if not outlet.begun:
            outlet.begin(200, self._lines)
        outlet.end(self._held.take())
        return None


class Continuing(Calling):
    """A stream that breaks after its content commit is gone on with by a model that knows prefilling."""

    _keeps_body = True

    def __init__(self, dispatcher: Dispatcher, responder: Responder, plan: Plan, call: Call) -> None:
        super().__init__(dispatcher, responder, plan, call)
        self._said = Transcript()
        self._bridge = Bridge(responder.outlet, self._said)
        self.listener = self._bridge.hear

    def _reply(self) -> Bridge:
        return self._bridge

    def epilogue(self) -> bytes:
        return b"" if self._bridge.keeps else self._responder.epilogue()

    def _changes(self) -> dict[str, bytes | None]:
        text = self._said.text
        if not text:
            return {}
        messages = (self._call.members.raw("messages") or b"[]").rstrip()[:-1]
        comma = b"" if messages.strip() == b"[" else b","
        return {"messages": b"%b%b%b]" % (messages, comma, _encode({"role": "assistant", "content": text}))}

    def _streamed(self, attempt: Attempt) -> AttemptFailure | None:
        fault = self._bridge.fault
        if self._bridge.keeps and self._responder.request.gone:
            if isinstance(fault, UpstreamFault):
                self._failed(attempt, fault)
            raise ClientGone  # it left before it was told
        if isinstance(fault, UpstreamFault) and self._said.continuable and self._call.choices == 1:
            return self._failed(attempt, fault)
        if fault is not None:
            self._bridge.tell()
        return super()._streamed(attempt)

    async def _after(self, failure: AttemptFailure) -> Deployment | None:
        if not self._said.text:
            return await super()._after(failure)
        self._plan.demand_prefill()
        if self._bridge.fault is None:
            return await super()._after(failure)
        # The deadline is for waiting: while content came, nobody waited.
        self._deadline += self._now() - failure.attempt.began
        found = await self._successor(failure)
        if found is not None:
            _forget(self._exchange)
            self._bridge.go_on()
        return found

    async def _successor(self, failure: AttemptFailure) -> Deployment | None:
        if failure.attempt.deployment.prefills:
            return await super()._after(failure)
        return None if RULES[failure.kind].next in (Next.TELL, Next.STOP) else self._switch()

    def _conclude(self, failure: AttemptFailure | None) -> None:
        if self._bridge.fault is None:
            super()._conclude(failure)
        else:
            self._bridge.tell()


class Bridge(OutletWrapper):
    """The client's reply while an answer may yet be gone on with: how one broke is kept back.

    ``fault`` is why the last one broke, ``None`` from the moment on at which somebody goes on.
    """

    __slots__ = ("_goes_on", "_kept", "_said", "fault")

    def __init__(self, outlet: Outlet, said: Transcript) -> None:
        super().__init__(outlet)
        self._said = said
        self._kept: list[bytes] = []
        self._goes_on = False
        self.fault: GatewayError | None = None

    def hear(self, block: bytes, failed: bool) -> bytes:
        """What goes to the client of an event; ``failed`` from the provider's own error on."""
        if failed:
            self._kept.append(block)
            return b""
        opening = self._said.hear(block)
        return b"" if opening and self._goes_on else block  # SDKs would join a second role to the first

    def go_on(self) -> None:
        """Forget how the last one broke."""
        self._kept.clear()
        self._goes_on = True
        self.fault = None

    def tell(self) -> None:
        """Nobody goes on: the answer ends as it broke."""
        self.outlet.end(b"".join(self._kept))

    @property
    def keeps(self) -> bool:
        """Whether the provider's own error, or what followed it, is kept back."""
        return bool(self._kept)

    def break_off(self, fault: GatewayError, last: bytes) -> None:
        self.fault = fault
        self._kept.append(last)


def _forget(exchange: Exchange) -> None:
    """A stream broke, and the client will not be told."""
    exchange.outcome, exchange.error, exchange.fault = "", "", None
