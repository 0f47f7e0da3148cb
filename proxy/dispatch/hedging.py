"""The dispatch that sends a second request where the first is slow to say anything (``routing.hedgeAfterMs``).

Dean and Barroso, The Tail at Scale (2013): a hedged request costs little where few are that slow.
"""

from __future__ import annotations

import asyncio

from proxy.dispatch.calling import Calling
from proxy.dispatch.race import Lost, Race
from proxy.dispatch.setback import Setback
from proxy.exchange import Trial
from proxy.routing.rules import RULES, Next
from proxy.transport.collect import Answer
from proxy.wire.answer import Told


class Hedging(Calling):
    """Only the first attempt of an exchange is hedged, and only where asking twice harms nobody."""

    _rival: asyncio.Task[Setback | None] | None = None

    async def _try(self, trial: Trial) -> Setback | None:
        if self._exchange.attempts > 1 or not self._repeats:
            return await self._run(trial)
        self._race = Race()
        timer = self._dispatcher.around.loop.call_later(self._routing.hedge_after_ms / 1000, self._hedge)
        try:
            return await self._decided(trial)
        finally:
            timer.cancel()
            if self._rival is not None:
                if self._race.running:
                    self._race.interrupt(Lost())  # enough: cancelled, it could lose a connection that it just got
                else:
                    self._rival.cancel()
                await asyncio.gather(self._rival, return_exceptions=True)
            self._race = None

    async def _decided(self, trial: Trial) -> Setback | None:
        """How the race ends: ``None`` with an answer, else with the setback that was the last, or has to be told."""
        setback, last = None, False
        try:
            setback = await self._run(trial)
        except Lost:
            assert self._rival is not None
        else:
            if setback is None or self._rival is None:
                return setback
            last = self._rival.done()
        try:
            other = await self._rival
        except Lost:  # there was nobody to ask
            return setback
        return setback if last and other is not None else other

    def _hedge(self) -> None:
        """It takes long: begin another attempt."""
        assert self._race is not None
        if self._race.winner is None:
            self._rival = self._dispatcher.around.loop.create_task(self._compete())

    async def _compete(self) -> Setback | None:
        """Raises Lost where there is nobody to ask, or nothing to ask for any more."""
        # Nothing is begun before this runs: a task that is cancelled before its first step has nothing to undo.
        assert self._race is not None
        trial = None
        while trial is None and self._race.winner is None and self._has_budget():
            found = self._plan.next(self._now())
            if found is None:
                break
            admitted = self._hold is None or await self._entered(found, self._hold.enter(found))
            if admitted and self._race.winner is None:
                trial = self._begin(found, self._now())
        if trial is None:
            raise Lost
        return await self._run(trial)

    async def _run(self, trial: Trial) -> Setback | None:
        setback = await super()._try(trial)
        if setback is not None and self._race is not None and RULES[setback.kind].next is Next.TELL:
            self._race.won_by(trial)  # it is the client's affair, and must not be routed around
        return setback

    def _claim(self, trial: Trial, answer: Answer) -> Told:
        if self._race is not None:
            self._race.goes_on_for(trial)  # or the other's answer would be in the way of this one
        told = super()._claim(trial, answer)
        self._win(trial)
        return told

    def _committed(self, trial: Trial) -> None:
        self._win(trial)
        super()._committed(trial)

    def _win(self, trial: Trial) -> None:
        if self._race is not None:
            self._race.won_by(trial)
            self._delivery.chose(trial.deployment)
            self._delivery.decision = trial.decision
