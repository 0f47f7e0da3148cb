"""``routing.streamRecovery: hold``: collect a stream, and send it once it is complete.

Until then another attempt can follow any failure. The client gets pings while it waits. The first ping commits the
status 200; if the exchange fails before it, the client gets an error status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from proxy.dispatch import outcome
from proxy.dispatch.attempt import AttemptRun
from proxy.dispatch.dispatch import Dispatch, RunAttempt
from proxy.dispatch.failure import AttemptFailure
from proxy.errors import ClientGone, UpstreamFault
from proxy.relay.held import Held


class Hold:
    """Wrapper that runs attempts whose answers are held back."""

    def __init__(self, dispatch: Dispatch, run_attempt: RunAttempt) -> None:
        self._dispatch = dispatch
        self._run_attempt = run_attempt

    async def run_attempt(self, run: AttemptRun) -> AttemptFailure | None:
        context = self._dispatch.dispatcher.context
        held = Held(context.max_answer, context.budget)
        run.outlet = held
        run.stream_ended = lambda run: self._ended(run, held)
        # Always: a ping may commit the status at any time before the answer is sent.
        run.closing_comment = run.responder.closing_comment
        run.streams_only = run.keeps_body = True
        try:
            return await self._run_attempt(run)
        finally:
            held.release()

    async def pinged(self, running: Awaitable[None]) -> None:
        """Await the exchange, and send pings to its client meanwhile."""
        context = self._dispatch.dispatcher.context
        pings = context.loop.create_task(self._ping()) if context.ping_after else None
        try:
            await running
        finally:
            if pings is not None:
                pings.cancel()

    async def _ping(self) -> None:
        dispatch = self._dispatch
        context, responder = dispatch.dispatcher.context, dispatch.responder
        await asyncio.sleep(dispatch.exchange.began + context.ping_after - context.loop.time())
        while not responder.request.gone:
            responder.ping()
            await asyncio.sleep(context.ping_every)

    def _ended(self, run: AttemptRun, held: Held) -> AttemptFailure | None:
        """Send what was held, if it is complete."""
        exchange, responder, fault = self._dispatch.exchange, run.responder, held.fault
        if isinstance(fault, UpstreamFault):
            exchange.first_content = None
            exchange.forget_break()
            return outcome.failed(run, fault)
        if fault is not None:  # the gateway's own: the answer is too large to hold, or the process stops
            raise fault
        if responder.request.gone:
            raise ClientGone
        outcome.streamed(run)
        exchange.first_content = self._dispatch.dispatcher.context.loop.time()
        if not responder.outlet.begun:
            responder.outlet.begin(200, run.lines)
        responder.outlet.end(held.take())
        return None
