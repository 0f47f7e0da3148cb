"""Troubles of the ledger: rows that wait for the database, a spool that fills, and attempts that have no row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from proxy.config.schema import LedgerSettings
from proxy.control.attention.trouble import Severity, Trouble
from proxy.control.health.components import ComponentHealth
from proxy.control.live import LiveConfig
from proxy.ledger.recorder.status import RecorderStatus, read_status
from proxy.ledger.spool.folder import memory_folder, segment_names, spool_folder, used_bytes

BEHIND_SECS: Final = 30.0  # a recorder that works is a fraction of a second behind
NEARLY_FULL: Final = 0.9
_MEGABYTE: Final = 1024 * 1024
_WHEN_FULL: Final = {"refuse": "requests are refused", "forget": "what requests use is not recorded"}


class LedgerTroubles:
    """``components`` are those of the health checks. A spool that is full is among them."""

    def __init__(self, live: LiveConfig, components: Callable[[], Mapping[str, ComponentHealth]]) -> None:
        self._live = live
        self._components = components

    async def find(self) -> list[Trouble]:
        config = self._live.config
        if not config.records_usage:
            return []
        folder = spool_folder(config.data_dir)
        status = read_status(folder)
        found = [] if status is None else [*self._of_recorder(status, folder), *_of_rejected(status)]
        return [*found, *_of_memory(folder)]

    @property
    def _where(self) -> str:
        """Where rows go."""
        return "the broker" if self._live.config.ledger.mode == "events" else "the database"

    def _of_recorder(self, status: RecorderStatus, folder: Path) -> Iterator[Trouble]:
        health = self._components().get("recorder")
        down = health is not None and not health.up
        if not down and status.behind_secs < BEHIND_SECS:
            return
        if down and not status.database:
            why = f"{self._where} takes no rows: {status.error}"
        elif down:
            why = f"the recorder does not run, and is started again, or hangs (process {status.pid})"
        else:
            why = f"{status.waiting} rows wait for {self._where}, the oldest for {status.behind_secs:.0f} s"
        settings = self._live.config.ledger
        share = _share(folder, settings)
        # While the recorder works, the spool empties by itself, however small it is.
        why += f"; the spool is {share:.0%} full, and when it is, {_WHEN_FULL[settings.on_full]}"
        severity: Severity = "error" if share >= NEARLY_FULL else "warning"
        yield Trouble(severity, "component", "Ledger", why, since=round(health.since, 3) if health and down else None)


def _share(folder: Path, settings: LedgerSettings) -> float:
    """The part of the spool that is used."""
    try:
        return min(1.0, used_bytes(folder) / (settings.spool_mb * _MEGABYTE))
    except OSError:
        return 0.0


def _of_rejected(status: RecorderStatus) -> Iterator[Trouble]:
    if status.rejected:
        why = f"{status.rejected} attempts have no row: {status.error or 'the log says why'}"
        yield Trouble("warning", "component", "Ledger", why, since=round(status.started, 3), count=status.rejected)


def _of_memory(folder: Path) -> Iterator[Trouble]:
    try:
        in_memory = bool(segment_names(memory_folder(folder)))
    except OSError:
        return
    if in_memory:
        why = "the data directory cannot be written: until they are taken from it, records are in memory only"
        yield Trouble("warning", "component", "Ledger", why)
