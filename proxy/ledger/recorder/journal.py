"""Attempts that are settled although the segment of their open record stays: a file beside that segment.

A long stream keeps the segment that it began in, and not those after it. So other attempts of that segment lose their
close record, and a recorder that is started again finds them open. A database can be asked whether they have their row
(``LedgerDatabase.present``). A broker cannot, and once their gateway has died they would be recorded as lost, although
their row was sent. So before a segment is removed, the attempts that were closed in it and opened in another one are
written down, durably. Everything else is read again from segments that are still there, and sent again under the same
id.

Removing segments in their order only would need no file. But one stream of an hour would keep all segments of that
hour, which fills the spool, and each start would send them all again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from proxy.ledger.spool.folder import SegmentName, make_memory_folder, memory_folder, segment_names

SUFFIX: Final = ".settled"


class SettledJournal:
    """In the folder of the spool, or in memory while that cannot be written. One process uses it at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced: set[Path] = set()  # files whose entry in the folder is durable

    def note(self, settled: Mapping[SegmentName, Sequence[str]]) -> None:
        """Write down ids of attempts by the segment of their open record. Durable when it returns. Raises OSError."""
        for segment, ids in settled.items():
            data = "".join(f"{each}\n" for each in ids).encode()
            try:
                self._append(self._folder / _file(segment), data)
            except OSError:
                self._append(make_memory_folder(self._folder) / _file(segment), data)

    def forget(self, segment: SegmentName) -> None:
        """The segment was removed. A file that stays is removed by the next ``load``."""
        for folder in self._places():
            path = folder / _file(segment)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            self._synced.discard(path)

    def load(self) -> set[str]:
        """All ids. Removes files of segments that are gone. Raises OSError.

        The end of a file that was being written when its process died is no id, and is cut off: what is appended would
        become a part of it. Its attempt still has its close record, as the segment of that is removed later.
        """
        places = self._places()
        present = {name.file for folder in places for name in segment_names(folder)}
        found: set[str] = set()
        for path in (path for folder in places for path in folder.glob(f"*{SUFFIX}")):
            if path.with_suffix(".seg").name not in present:
                path.unlink(missing_ok=True)
                continue
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                os.truncate(path, whole)
            found.update(data[:whole].decode("utf-8", "replace").split())
        return found

    def _append(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, data) != len(data):
                os.truncate(descriptor, size)
                raise OSError(f"{path} cannot be written whole")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path not in self._synced:
            _sync(path.parent)
            self._synced.add(path)

    def _places(self) -> Iterable[Path]:
        return [each for each in (self._folder, memory_folder(self._folder)) if each.is_dir()]


def _file(segment: SegmentName) -> str:
    return segment.file.removesuffix(".seg") + SUFFIX


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
