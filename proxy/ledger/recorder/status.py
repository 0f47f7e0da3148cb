"""What the recorder tells the gateways of its folder, in a file that is replaced as a whole."""

from __future__ import annotations

import os
from errno import ENOSPC
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from proxy.events.sending.status import UNKNOWN, ReceiverStatus
from proxy.ledger.spool.folder import make_memory_folder, memory_folder

FILE: Final = "recorder.json"
BEAT_SECS: Final = 10.0  # a working recorder writes it at least so often
SILENT_SECS: Final = 60.0  # then it hangs: a statement has failed after 30 s


class RecorderStatus(Struct, frozen=True):
    """Times are Unix seconds. A recorder that was killed leaves its last status: see ``folders.is_recorded``.

    ``waiting``: rows and events that were read and are not in the database, the oldest for ``behind_secs``.
    ``spool_bytes``: what all segments take on the disk. ``rows``: inserted since ``started``. ``rejected``: rows and
    events that the database refused or that could not be read.
    """

    pid: int
    started: float
    at: float  # when this was written
    database: bool  # whether it takes rows
    since: float  # the last change of ``database``
    error: str = ""  # why it does not; else the last failure
    rows: int = 0
    rejected: int = 0
    lost: int = 0  # attempts that were closed because their gateway had died
    open: int = 0  # attempts that were not closed yet
    waiting: int = 0
    behind_secs: float = 0.0
    spool_bytes: int = 0
    receivers: tuple[ReceiverStatus, ...] = ()  # of events
    dead_letters: int = UNKNOWN  # at the broker
    forgotten_events: int = 0  # since ``started``: the outbox was full


_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(RecorderStatus).decode


def write_status(folder: Path, status: RecorderStatus) -> None:
    """In memory if the folder cannot be written. Raises OSError if neither can."""
    try:
        _replace(folder / FILE, status)
    except OSError:
        _replace(make_memory_folder(folder) / FILE, status)


def read_status(folder: Path) -> RecorderStatus | None:
    """The newest; ``None``: there is none that can be read."""
    found = [status for each in (folder, memory_folder(folder)) if (status := _read(each / FILE)) is not None]
    return max(found, key=lambda status: status.at, default=None)


def _replace(path: Path, status: RecorderStatus) -> None:
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    data = _encode(status)
    try:
        if os.write(descriptor, data) != len(data):  # a disk that is nearly full
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(part))
    finally:
        os.close(descriptor)
    part.replace(path)


def _read(path: Path) -> RecorderStatus | None:
    try:
        return _decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
