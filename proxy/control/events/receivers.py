"""Who gets events: what the database knows of them, or the recorder where no database has the outbox."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from proxy.control.events.store import EventStore
from proxy.control.events.views import EventsView, OutboxView, receiver_views
from proxy.control.live import LiveConfig
from proxy.database.outbox_rows import MOST_COUNTED, ReceiverStanding
from proxy.events.base import receivers_of
from proxy.events.sending.status import UNKNOWN, ReceiverStatus
from proxy.ledger.recorder.status import SILENT_SECS, RecorderStatus


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
        events = config.events
        if self._store.kept:
            now, found = await self._store.survey()
            found = [_counted(each, self._known(status).get(each.name)) for each in found]
        else:
            now, found = self._wall(), self._of_recorder(status)
        views = receiver_views(events, found, now)
        waiting = sum(each.waiting for each in views)
        return EventsView(
            round(now, 3),
            config.ledger.mode,
            views,
            OutboxView(waiting, events.most_waiting, events.on_full),
            bool(events.url),
            _dead_letters(status) if events.url else None,
        )

    def _known(self, status: RecorderStatus | None) -> dict[str, ReceiverStatus]:
        """What a recorder that works says of each."""
        if status is None or self._wall() - status.at > SILENT_SECS:
            return {}
        return {each.name: each for each in status.receivers}

    def _of_recorder(self, status: RecorderStatus | None) -> list[ReceiverStanding]:
        """Those of the configuration, as the recorder sees them since its start."""
        now, known = self._wall(), self._known(status)
        found = []
        for name in [each.name for each in receivers_of(self._live.config.events)]:
            seen = known.get(name)
            if seen is None:
                found.append(ReceiverStanding(name))
                continue
            found.append(
                ReceiverStanding(
                    name,
                    seen.waiting,
                    now - seen.oldest_secs if seen.waiting else None,
                    until=now + SILENT_SECS if seen.held else 0.0,
                    sent=seen.sent,
                    failures=seen.failures,
                    failed_at=None if seen.up else seen.since,
                    error=seen.error,
                )
            )
        return found


def _counted(found: ReceiverStanding, seen: ReceiverStatus | None) -> ReceiverStanding:
    """The recorder counts them all, where the database was asked for the first ones only."""
    if seen is None or MOST_COUNTED not in (found.waiting, found.dead):
        return found
    return replace(found, waiting=max(found.waiting, seen.waiting), dead=max(found.dead, seen.dead))


def _dead_letters(status: RecorderStatus | None) -> int | None:
    if status is None or status.dead_letters == UNKNOWN:
        return None
    return status.dead_letters
