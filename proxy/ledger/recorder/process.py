"""The recorder as a process: its lock, its signals, its status file and its exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from math import inf
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from proxy.events.sending.status import UNKNOWN, ReceiverStatus
from proxy.ledger.recorder.accounts import Accounts
from proxy.ledger.recorder.base import Notices
from proxy.ledger.recorder.bound import OutboxBound
from proxy.ledger.recorder.destination import destination_of
from proxy.ledger.recorder.folders import SpoolFolders, lock_recorder
from proxy.ledger.recorder.recorder import LedgerRecorder
from proxy.ledger.recorder.retention import Retention
from proxy.ledger.recorder.sending import sending_of
from proxy.ledger.recorder.settings import RecorderSettings
from proxy.ledger.recorder.status import BEAT_SECS, RecorderStatus, write_status
from proxy.ledger.recorder.upgrade import run_upgrade
from proxy.runtime.cancelling import cancel_until_done

DONE: Final = 0
LEFT: Final = 1  # segments are left to the next start
TAKEN: Final = 75  # another recorder works in this folder (EX_TEMPFAIL of sysexits.h)

PAUSE: Final = 0.1  # seconds between two looks, and between two calls of fdatasync
STATUS_SECS: Final = 1.0  # at least, between two writes of the status file
END_SECS: Final = 2.0  # that a signal lets a batch take
DEAD_LETTERS_SECS: Final = 10.0  # between two counts of them
FAILED_PAUSE: Final = 1.0  # after an error of the disk


def run_recorder(settings: RecorderSettings, log: Notices) -> int:
    """Record until nothing is left and no gateway lives, or until SIGTERM or SIGINT. Returns the exit status."""
    folder = Path(settings.folder)
    try:
        lock = lock_recorder(folder)
    except OSError as error:
        log.error("The spool cannot be used.", folder=settings.folder, why=error.strerror or str(error))
        return LEFT
    if lock is None:
        return TAKEN
    try:
        return asyncio.run(_Process(settings, folder, log).run())
    finally:
        lock.release()


class _Process:
    def __init__(self, settings: RecorderSettings, folder: Path, log: Notices) -> None:
        self._settings = settings
        self._folder = folder
        self._log = log
        self._spool = SpoolFolders(folder, lambda text: log.warning(text))
        events = settings.events
        self._bound = OutboxBound(events.on_full)
        self._database, journal, words, self._dead = destination_of(settings, self._bound, log)
        self._dead_letters = UNKNOWN
        self._recorder = LedgerRecorder(
            self._spool,
            self._database,
            Accounts(settings.lost),
            log,
            lambda: run_upgrade(settings.database),
            once=settings.once,
            bound=self._bound,
            journal=journal,
            words=words,
        )
        self._sending = sending_of(settings, folder, log)
        self._retention = Retention(self._database, settings.keep_days, settings.keep_hours_days)
        self._stop = asyncio.Event()
        self._disk_error = ""
        self._parent = settings.parent
        self._status = RecorderStatus(os.getpid(), time.time(), 0.0, True, time.time())
        self._reported = -inf  # monotonic
        self._done_at: float | None = None  # monotonic: the spool was done

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._report()  # what the former recorder wrote is old
        following = asyncio.create_task(self._follow())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, following)
        syncing = asyncio.create_task(self._sync())
        looking = asyncio.create_task(self._look_at_dead_letters())
        if self._sending is not None:
            self._sending.start()
        try:
            await asyncio.wait((following,))
            if not following.cancelled():
                following.result()
        finally:
            for task in (syncing, looking):
                cancel_until_done(task)
            await asyncio.wait((syncing, looking))  # a publisher in use would leave its exchanges at the broker
            if self._sending is not None:
                await self._sending.close()
            self._report(last=True)
            await self._database.close()
            self._spool.close()
        return DONE if self._recorder.done or self._stop.is_set() else LEFT

    async def _follow(self) -> None:
        while not self._stop.is_set() and not self._is_finished() and not self._recorder.gives_up:
            if self._is_superseded():
                return
            written = self._recorder.written
            pause = await self._step()
            if self._sending is not None:
                self._bound.full = self._sending.full
                if self._recorder.written > written:
                    self._sending.wake()
            self._report()
            # SQLite never waits, so without a pause nothing else would run.
            await (self._wait(pause) if pause else asyncio.sleep(0))

    def _is_finished(self) -> bool:
        """Whether nothing is left in the spool, and in the outbox nothing that can be sent now."""
        if self._sending is None or not self._recorder.done:
            self._done_at = None
            return self._recorder.done
        if self._done_at is None:
            self._done_at = time.monotonic()
            self._sending.wake()
        return self._sending.finished(self._done_at)

    def _is_superseded(self) -> bool:
        """Whether our gateway died and another one lives, which starts a recorder with its own configuration."""
        try:
            orphan = self._parent and os.getppid() != self._parent
            return bool(orphan) and any(each.alive for each in self._spool.gateways().values())
        except OSError:
            return False

    def _end(self, following: asyncio.Task[None]) -> None:
        """Let it finish its batch; a database that does not answer is not waited for."""
        self._stop.set()
        asyncio.get_running_loop().call_later(END_SECS, cancel_until_done, following)

    async def _step(self) -> float:
        """Returns the seconds to wait before the next step."""
        try:
            busy = await self._recorder.step()
        except OSError as error:
            self._disk_failed(error)
            return FAILED_PAUSE
        self._disk_error = ""
        if not self._recorder.health.failing:
            await self._retention.step()
        return 0.0 if busy else PAUSE

    async def _sync(self) -> None:
        """Make records durable, also while the database is slow."""
        while True:
            try:
                self._spool.sync()
            except OSError as error:
                self._disk_failed(error)
            await asyncio.sleep(PAUSE)

    async def _look_at_dead_letters(self) -> None:
        """Without an outbox; else who sends that does it."""
        while self._dead is not None:
            self._dead_letters = await self._dead()
            await asyncio.sleep(DEAD_LETTERS_SECS)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    def _disk_failed(self, error: OSError) -> None:
        why = str(error)
        if why != self._disk_error:
            self._disk_error = why
            self._log.error("The spool cannot be read or synced.", why=why)

    # -- the status ---------------------------------------------------------------------------------

    def _report(self, *, last: bool = False) -> None:
        before, silent = self._status, time.monotonic() - self._reported
        changed = before.database != self._recorder.health.up
        if not (last or changed or silent >= STATUS_SECS):
            return
        status = self._current(time.time())
        if last or silent >= BEAT_SECS or replace(status, at=before.at) != before:
            self._status = status
            self._reported = time.monotonic()
            try:
                write_status(self._folder, status)
            except OSError as error:
                self._disk_failed(error)

    def _current(self, now: float) -> RecorderStatus:
        recorder, accounts, before = self._recorder, self._recorder.accounts, self._status
        oldest = accounts.waiting_since
        return RecorderStatus(
            before.pid,
            before.started,
            now,
            recorder.health.up,
            now if recorder.health.up != before.database else before.since,
            recorder.health.error,
            recorder.rows,
            recorder.rejected,
            recorder.lost,
            accounts.open,
            accounts.waiting,
            0.0 if oldest is None else round(time.monotonic() - oldest, 1),
            self._spool.used_bytes(),
            self._receivers(),
            self._dead_letters if self._sending is None else self._sending.dead_letters,
            self._bound.forgotten,
        )

    def _receivers(self) -> tuple[ReceiverStatus, ...]:
        """Without an outbox the recorder itself sends to the broker."""
        if self._sending is not None:
            return self._sending.statuses()
        return tuple(self._as_receiver(each.name) for each in self._settings.events.receivers)

    def _as_receiver(self, name: str) -> ReceiverStatus:
        recorder, oldest = self._recorder, self._recorder.accounts.waiting_since
        return ReceiverStatus(
            name,
            recorder.health.up,
            self._status.since,
            recorder.accounts.waiting,
            0.0 if oldest is None else round(time.monotonic() - oldest, 1),
            recorder.rows,
            recorder.health.failures,
            error=recorder.health.error,
        )
