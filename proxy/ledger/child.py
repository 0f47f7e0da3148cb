"""The recorder as a child of the gateway: started at the first record, and again when it ends."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct, structs

from proxy.config.proxies import PROXY_VARIABLES
from proxy.config.schema import Config
from proxy.database.address import address_of
from proxy.events.settings import event_settings
from proxy.ledger.output import RecorderOutput
from proxy.ledger.recorder.folders import has_others, has_segments, is_recorded
from proxy.ledger.recorder.settings import RecorderSettings
from proxy.ledger.recorder.status import SILENT_SECS, RecorderStatus, read_status
from proxy.ledger.spool.folder import spool_folder
from proxy.observe.gauges import ReceiverSample, RecorderSample
from proxy.observe.log import Log
from proxy.runtime.python import python_command, python_environment

DONE: Final = 0  # exit statuses, of ``recorder.process``
TAKEN: Final = 75

LOOK_SECS: Final = 1.0  # between two looks whether the recorder of another gateway still works
FIRST_PAUSE: Final = 1.0  # before a recorder that ended is started again; twice as long each time
LONGEST_PAUSE: Final = 60.0
STEADY_SECS: Final = 60.0  # a recorder that lived so long is started again after ``FIRST_PAUSE``
DRAIN_SECS: Final = 2.0  # that the stop of the gateway waits for its last rows
DRAIN_LOOK_SECS: Final = 0.02
END_LOOK_SECS: Final = 0.01  # between two looks whether our child has ended, once it has closed its output


def settings_of(
    config: Config, environ: Mapping[str, str] = MappingProxyType({}), *, once: bool = False
) -> RecorderSettings:
    """``environ`` names forward proxies, which webhooks are reached by; without any, those of the process do."""
    ledger = config.ledger
    proxies = {name: value for name, value in environ.items() if name.lower() in PROXY_VARIABLES}
    address = address_of(config.database, Path(config.data_dir).absolute())
    return RecorderSettings(
        str(spool_folder(config.data_dir)),
        address,
        ledger.lost,
        ledger.keep_days,
        ledger.keep_hours_days,
        once,
        default_balance=config.billing.default_nano,
        events=structs.replace(event_settings(config.events, ledger=ledger.mode == "events"), proxies=proxies),
    )


class RecorderState(Struct, frozen=True):
    """``since``: the last change, in Unix seconds."""

    up: bool
    since: float
    latency: float | None = None


class RecorderChild:
    """Supervises the recorder of a folder. Of several gateways one has it as its child, the others look now and then.

    ``nonce`` is that of this gateway's segments. It has no thread. The child gets a session of its own, so that a
    Ctrl-C stops the gateway only, which lets the child end. It is no subprocess of the loop: that would end it with the
    loop, and copies the gateway's page tables to start it (8 ms), where ``Popen`` takes vfork(2).
    """

    def __init__(self, settings: RecorderSettings, log: Log, nonce: str, command: Sequence[str] = ()) -> None:
        self._settings = structs.replace(settings, parent=os.getpid())
        self._folder = Path(settings.folder)
        self._log = log
        self._nonce = nonce
        self._command = command or python_command("-m", "proxy.ledger.recorder")
        self._process: Popen[bytes] | None = None
        self._output: RecorderOutput | None = None
        self._supervising: asyncio.Task[None] | None = None
        self._ended_at: float | None = None  # Unix seconds; it failed then, and is to be started again
        self._records = False  # this gateway has written a record, or may have events
        self._renewing = False  # our child was ended, as it has other settings than we do

    @property
    def status(self) -> RecorderStatus | None:
        """What the recorder of the folder wrote last, whoever's child it is; ``None``: nothing yet."""
        return read_status(self._folder)

    @property
    def state(self) -> RecorderState | None:
        """Whether rows get into the database; ``None``: no recorder works, as none is needed yet.

        A recorder that hangs counts as down.
        """
        if self._ended_at is not None:
            return RecorderState(False, self._ended_at)
        status = self.status
        if status is None or not is_recorded(self._folder):
            return None
        if time.time() - status.at > SILENT_SECS:
            return RecorderState(False, status.at)
        return RecorderState(status.database, status.since)

    def sample(self) -> RecorderSample | None:
        """For the metrics."""
        status = self.status
        if status is None:
            return None
        receivers = [
            ReceiverSample(each.name, each.waiting, each.oldest_secs, each.sent, each.failures, each.dead)
            for each in status.receivers
        ]
        return RecorderSample(
            status.waiting,
            status.behind_secs,
            status.spool_bytes,
            receivers,
            status.dead_letters,
            status.forgotten_events,
        )

    @property
    def pid(self) -> int | None:
        """Of our child; ``None``: there is none now."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Keep a recorder running from now on. Called at the first record of this gateway, or at its start."""
        self._records = True
        self._supervise()

    def adopt(self, settings: RecorderSettings) -> None:
        """Use other settings from now on: our child is ended, and started again. Other gateways see to theirs."""
        settings = structs.replace(settings, parent=os.getpid())
        if settings == self._settings:
            return
        self._settings = settings
        if settings.events.receivers:
            self.start()
        if self._process is not None and self.pid is not None:
            self._renewing = True
            self._process.terminate()

    def start_if_left(self) -> None:
        """Start a recorder if other gateways have left segments. It ends when these are done."""
        try:
            if has_others(self._folder, self._nonce):
                self._supervise()
        except OSError as error:
            self._log.warning("The ledger's spool cannot be read.", folder=self._settings.folder, why=str(error))

    async def stop(self) -> None:
        """Wait a moment for the rows of this gateway, whose spool has ended.

        The child is left to finish what it has begun: it ends by itself, or goes on for other gateways. It is ended if
        the database takes no rows, as that may last; the next start writes them.
        """
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.wait((self._supervising,))
        try:
            await self._drained()
        finally:
            self._let_go()

    async def _drained(self) -> None:
        deadline = asyncio.get_running_loop().time() + DRAIN_SECS
        while self.pid is not None and self._is_awaited():
            if asyncio.get_running_loop().time() > deadline:
                self._end_idle()
                return
            await asyncio.sleep(DRAIN_LOOK_SECS)

    def _supervise(self) -> None:
        if self._supervising is None or self._supervising.done():
            self._supervising = asyncio.get_running_loop().create_task(self._keep_running(), name="recorder")

    async def _keep_running(self) -> None:
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            status = TAKEN if is_recorded(self._folder) else await self._run()
            if status == TAKEN:
                await asyncio.sleep(LOOK_SECS)
                continue
            if self._renewing:
                self._renewing = False
                continue
            if status == DONE and not self._records:
                return
            if loop.time() - began > STEADY_SECS:
                pause = FIRST_PAUSE
            self._ended_at = time.time()
            self._log.warning("The recorder ended. It is started again.", status=status, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _run(self) -> int | None:
        """Run the child until it ends. Returns its exit status; ``None``: it could not be started."""
        try:
            process = self._started()
        except OSError as error:
            self._log.warning("The recorder cannot be started.", why=error.strerror or str(error))
            return None
        self._process, self._ended_at = process, None
        assert process.stderr is not None
        self._output = output = RecorderOutput(process.stderr, self._log)
        await output.ended.wait()
        while (status := process.poll()) is None:  # noqa: ASYNC110 - it closes its pipe a moment before it ends
            await asyncio.sleep(END_LOOK_SECS)
        self._process = self._output = None
        return status

    def _started(self) -> Popen[bytes]:
        """The child, which has its settings. Raises OSError. Takes one or two milliseconds."""
        process = Popen(
            self._command,
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
            env=python_environment(os.environ),
            start_new_session=True,
        )
        assert process.stdin is not None
        try:
            with process.stdin as pipe:
                pipe.write(msgspec.json.encode(self._settings))  # a pipe has room for it
        except BrokenPipeError:
            pass  # it ended at once: its exit status says so
        return process

    def _let_go(self) -> None:
        """Leave the child alone, and read its lines no longer."""
        if self._output is not None:
            self._output.close()
        if self._process is not None and self._process.poll() is None:
            self._process.returncode = 0  # it is not waited for: without this, Python warns that it still runs

    def _is_awaited(self) -> bool:
        """Whether rows of ours are missing, or the child is about to end, as nothing is left for it."""
        try:
            return has_segments(self._folder, self._nonce) or not has_segments(self._folder)
        except OSError:
            return False

    def _end_idle(self) -> None:
        status = self.status
        if self._process is not None and (status is None or not status.database):
            self._process.terminate()
