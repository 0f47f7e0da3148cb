"""The dispatch of a body that streams through: it can be sent again only as long as nothing of it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

from proxy.delivery import Delivery
from proxy.dispatch.asking import uploading
from proxy.dispatch.dispatch import Dispatch, Setback
from proxy.dispatch.dispatcher import Dispatcher
from proxy.exchange import Trial
from proxy.routing.plan import Plan
from proxy.routing.routes import Route
from proxy.transport.attempt import Ask

# Of a deployment: the pieces of the body for it, and their length where it is known.
Body = Callable[[Trial], tuple[AsyncIterator[bytes], int | None]]


class Uploading(Dispatch):
    """``body`` is called for each attempt; what it gives is read at most once."""

    def __init__(self, dispatcher: Dispatcher, delivery: Delivery, plan: Plan, route: Route, body: Body) -> None:
        super().__init__(dispatcher, delivery, plan)
        self._route = route
        self._body = body
        self._begun = False

    def _ask(self, trial: Trial) -> Ask:
        pieces, length = self._body(trial)
        committed = partial(self._committed, trial)
        return uploading(self._delivery, self._route, trial, self._watched(pieces), length, committed, self._deadline)

    def _repeatable(self, setback: Setback) -> bool:
        return not self._begun

    async def _watched(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._begun = True
        async for piece in pieces:
            yield piece
