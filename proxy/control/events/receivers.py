"""Who gets events: of the database, or of the recorder where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.control.events.store import EventStore
from proxy.control.events.views import EventsView, OutboxView, receiver_views
from proxy.control.live import LiveConfig
from proxy.ledger.recorder.status import RecorderStatus

if TYPE_CHECKING:
    from proxy.database.outbox_views import ReceiverStanding


class ReceiverSurvey:
    """``status`` returns what the recorder of this machine wrote last. ``wall``: Unix seconds."""

    def __init__(
        self,
        store: EventStore,
        live: LiveConfig,
        status: Callable[[], RecorderStatus | None],
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._live = live
        self._status = status
        self._wall = wall

    async def survey(self) -> EventsView:
        """Raises GatewayError where the database does not answer, or cannot be used."""
        config, status = self._live.config, self._status()
        now, found = await self._standings(status)
        views = receiver_views(config.events, found, now)
        waiting = sum(each.waiting for each in views)
        return EventsView(
            round(now, 3),
            config.ledger.mode,
            views,
            OutboxView(waiting, config.events.most_waiting, config.events.on_full),
            bool(config.events.url),
            None,
        )

    async def _standings(self, status: RecorderStatus | None) -> tuple[float, list[ReceiverStanding]]:
        if self._store.kept:
            return await self._store.survey()
        return self._wall(), []
