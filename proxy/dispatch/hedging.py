"""The dispatch that sends a second request where the first is slow to say anything (``routing.hedgeAfterMs``).

Dean and Barroso, The Tail at Scale (2013): a hedged request costs little where few are that slow.
"""

from __future__ import annotations

import asyncio

from proxy.dialects.openai_answer import AnswerInfo
from proxy.dispatch.calling import Calling
from proxy.dispatch.failure import AttemptFailure
from proxy.dispatch.race import Lost, Race
from proxy.exchange import Attempt
from proxy.relay.collect import Answer
from proxy.routing.rules import RULES, Next


class Hedging(Calling):
    """Only the first attempt of an exchange is hedged, and only where asking twice harms nobody."""

    _rival: asyncio.Task[AttemptFailure | None] | None = None

    async def _try(self, attempt: Attempt) -> AttemptFailure | None:
        if len(self._exchange.attempts) > 1 or not self._repeats:
            return await self._run(attempt)
        self._race = Race()
        timer = self._dispatcher.context.loop.call_later(self._routing.hedge_after_ms / 1000, self._hedge)
        try:
            return await self._decided(attempt)
        finally:
            timer.cancel()
            if self._rival is not None:
                if self._race.running:
                    self._race.interrupt(Lost())  # enough: cancelled, it could lose a connection that it just got
                else:
                    self._rival.cancel()
                await asyncio.gather(self._rival, return_exceptions=True)
            self._race = None

    async def _decided(self, attempt: Attempt) -> AttemptFailure | None:
        """How the race ends: ``None`` with an answer, else with the setback that was the last, or has to be told."""
        failure, last = None, False
        try:
            failure = await self._run(attempt)
        except Lost:
            assert self._rival is not None
        else:
            if failure is None or self._rival is None:
                return failure
            last = self._rival.done()
        try:
            other = await self._rival
        except Lost:  # there was nobody to ask
            return failure
        return failure if last and other is not None else other

    def _hedge(self) -> None:
        """It takes long: begin another attempt."""
        assert self._race is not None
        if self._race.winner is None:
            self._rival = self._dispatcher.context.loop.create_task(self._compete())

    async def _compete(self) -> AttemptFailure | None:
        """Raises Lost where there is nobody to ask, or nothing to ask for any more."""
        # Nothing is begun before this runs: a task that is cancelled before its first step has nothing to undo.
        assert self._race is not None
        attempt = None
        while attempt is None and self._race.winner is None and self._has_budget():
            found = self._plan.next(self._now())
            if found is None:
                break
            admitted = self._hold is None or await self._entered(found, self._hold.enter(found))
            if admitted and self._race.winner is None:
                attempt = self._begin(found, self._now())
        if attempt is None:
            raise Lost
        return await self._run(attempt)

    async def _run(self, attempt: Attempt) -> AttemptFailure | None:
        failure = await super()._try(attempt)
        if failure is not None and self._race is not None and RULES[failure.kind].next is Next.TELL:
            self._race.won_by(attempt)  # it is the client's affair, and must not be routed around
        return failure

    def _claim(self, attempt: Attempt, answer: Answer) -> AnswerInfo:
        if self._race is not None:
            self._race.goes_on_for(attempt)  # or the other's answer would be in the way of this one
        told = super()._claim(attempt, answer)
        self._win(attempt)
        return told

    def _committed(self, attempt: Attempt) -> None:
        self._win(attempt)
        super()._committed(attempt)

    def _win(self, attempt: Attempt) -> None:
        if self._race is not None:
            self._race.won_by(attempt)
            self._responder.chose(attempt.deployment)
            self._responder.decision = attempt.decision
