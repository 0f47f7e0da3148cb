"""Troubles of events: a receiver that takes none, events that were given up, and an outbox that fills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.config.events_schema import Events
from proxy.control.attention.trouble import Trouble
from proxy.control.live import LiveConfig
from proxy.events.base import receivers_of
from proxy.events.sending.status import ReceiverStatus
from proxy.ledger.recorder.status import RecorderStatus, read_status
from proxy.ledger.spool.folder import spool_folder

NEARLY_FULL: Final = 0.9
_WHEN_FULL: Final = {"wait": "rows of the ledger wait in the spool", "forget": "events are forgotten"}


class EventTroubles:
    """By the recorder's status file."""

    def __init__(self, live: LiveConfig) -> None:
        self._live = live

    async def find(self) -> list[Trouble]:
        config = self._live.config
        names = {each.name for each in receivers_of(config.events)}
        if not (names and config.records_usage):
            return []
        status = read_status(spool_folder(config.data_dir))
        if status is None:
            return []
        receivers = [each for each in status.receivers if each.name in names]
        found = [*_of_dead(receivers, status)]
        if config.ledger.mode == "database":  # else the ledger itself waits, and says so
            found += [*_of_failing(receivers), *_of_full(receivers, config.events)]
        return found


def _of_failing(receivers: list[ReceiverStatus]) -> Iterator[Trouble]:
    for each in receivers:
        if not each.up:
            why = f"takes no events: {each.error}"
            if each.waiting:
                why += f"; {each.waiting} wait, the oldest is {_duration(each.oldest_secs)} old"
            yield Trouble("warning", "receiver", each.name, why, since=round(each.since, 3), count=each.waiting)


def _of_dead(receivers: list[ReceiverStatus], status: RecorderStatus) -> Iterator[Trouble]:
    for each in receivers:
        if each.dead:
            why = f"{each.dead} events were given up; they can be sent again"
            yield Trouble("notice", "dead_events", each.name, why, count=each.dead)
    if status.dead_letters > 0:
        why = f"{status.dead_letters} messages are in the dead letters: a consumer has refused them"
        yield Trouble("warning", "dead_events", "Message broker", why, count=status.dead_letters)


def _of_full(receivers: list[ReceiverStatus], events: Events) -> Iterator[Trouble]:
    waiting = sum(each.waiting for each in receivers)
    if waiting < NEARLY_FULL * events.most_waiting:
        return
    full = waiting >= events.most_waiting
    why = f"{waiting} events wait, of at most {events.most_waiting}; "
    why += _WHEN_FULL[events.on_full] if full else f"then {_WHEN_FULL[events.on_full]}"
    yield Trouble("error" if full else "warning", "receiver", "Outbox", why, count=waiting)


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
