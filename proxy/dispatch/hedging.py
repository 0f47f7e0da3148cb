"""Hedged requests: a second attempt if the first is slow to answer (``routing.hedgeAfterMs``).

Dean and Barroso, The Tail at Scale (2013): hedging costs little if few requests are that slow. The attempts race for
the first content only. After that, the inner wrappers handle the winner's answer.
"""

from __future__ import annotations

import asyncio
from functools import partial

from proxy import router_metadata
from proxy.dispatch.attempt import AttemptRun
from proxy.dispatch.dispatch import Dispatch, RunAttempt
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.next_candidate import has_budget
from proxy.dispatch.race import Lost, Race
from proxy.exchange import Attempt
from proxy.responder import Responder
from proxy.routing.rules import RULES, Next


class Hedging:
    """Wrapper that hedges the first attempt of an exchange, if its request may run twice."""

    def __init__(self, dispatch: Dispatch, run_attempt: RunAttempt) -> None:
        self._dispatch = dispatch
        self._run_attempt = run_attempt
        self._race = Race(partial(_name_winner, dispatch.responder))
        self._rival: asyncio.Task[AttemptFailure | None] | None = None

    def __repr__(self) -> str:
        return f"<Hedging {self._race!r}>"

    async def run_attempt(self, run: AttemptRun) -> AttemptFailure | None:
        dispatch = self._dispatch
        if len(dispatch.exchange.attempts) > 1 or not dispatch.repeatable:
            return await self._run_attempt(run)
        loop = dispatch.dispatcher.context.loop
        timer = loop.call_later(dispatch.routing.hedge_after_ms / 1000, self._hedge)
        try:
            return await self._decided(run)
        finally:
            timer.cancel()
            if self._rival is not None:
                if self._race.running:
                    # This ends it. ``cancel`` could leak a connection that was just opened.
                    self._race.interrupt(Lost())
                else:
                    self._rival.cancel()
                await asyncio.gather(self._rival, return_exceptions=True)
                self._rival = None  # its exception refers to this object

    async def _decided(self, run: AttemptRun) -> AttemptFailure | None:
        """Run the race. If no attempt answers, return the last failure, or the one to return to the client."""
        failure, rival_was_first = None, False
        try:
            failure = await self._racing(run)
        except Lost:
            assert self._rival is not None
        else:
            if failure is None or self._rival is None:
                return failure
            rival_was_first = self._rival.done()
        try:
            other = await self._rival
        except Lost:  # it lost, or there was no other candidate
            return failure
        return failure if rival_was_first and other is not None else other

    def _hedge(self) -> None:
        """Start a second attempt."""
        if self._race.winner is None:
            self._rival = self._dispatch.dispatcher.context.loop.create_task(self._compete())

    async def _compete(self) -> AttemptFailure | None:
        """Run an attempt on the next candidate. Raises Lost if there is none, or if the race is over."""
        # Nothing is begun before this runs: a task that is canceled before its first step has nothing to undo.
        dispatch, reservation, run = self._dispatch, self._dispatch.exchange.reservation, None
        current_time = dispatch.dispatcher.now
        while run is None and self._race.winner is None and has_budget(dispatch):
            found = dispatch.plan.next(current_time())
            if found is None:
                break
            admitted = reservation is None or await dispatch.admitted(
                found, reservation.reserve(found, dispatch.exchange.endpoint, dispatch.responder.call)
            )
            if admitted and self._race.winner is None:
                run = dispatch.begin(found, current_time())
        if run is None:
            raise Lost
        return await self._racing(run)

    async def _racing(self, run: AttemptRun) -> AttemptFailure | None:
        run.race = race = self._race
        failure = await self._run_attempt(run)
        if failure is not None and RULES[failure.kind].next is Next.RETURN_ERROR:
            race.win(run.attempt)  # the client must get this error, not another answer
        return failure


def _name_winner(responder: Responder, attempt: Attempt) -> None:
    """Set what the client is told of the winner: the attempt that began last may have lost."""
    responder.set_deployment(attempt.deployment)
    responder.attempt_lines = router_metadata.attempt_lines(attempt)
    responder.exchange.dropped = attempt.dropped
