"""New segments for a gateway: the next one is made ahead, and in memory if the disk cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from proxy.ledger.full import SpoolFull
from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.place import Place, SpoolUnavailable
from proxy.ledger.spool.segment import SegmentFile


class SegmentSupply:
    """Raises SpoolUnavailable, as ``require`` and ``take`` do."""

    def __init__(
        self, folder: Path, nonce: str, limit_bytes: int, segment_bytes: int, notice: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._nonce = nonce
        self._sizes = (limit_bytes, segment_bytes)
        self._notice = notice
        self._number = 0
        self._next: SegmentFile | None = None
        self._stopped = False
        self._making = Lock()
        try:
            self.place = Place.on_disk(folder, *self._sizes)
        except OSError as error:
            self.place = self._memory(error)

    def prepare(self) -> None:
        """Make the next segment if there is none. For a thread: an error is left to the next call of ``take``."""
        with self._making:
            if self._next is None and not self._stopped:
                try:
                    self._next = self.place.segment(self._name(), beyond_limit=False)
                except (OSError, SpoolFull):
                    pass

    def require(self) -> None:
        """Make the next segment if there is none. Raises SpoolFull."""
        with self._making:
            if self._next is None:
                self._next = self._make(beyond_limit=False)

    def take(self, *, beyond_limit: bool = False) -> SegmentFile:
        """The next segment. Raises SpoolFull."""
        with self._making:
            segment, self._next = self._next, None
            return segment or self._make(beyond_limit=beyond_limit)

    def leave_disk(self, error: OSError) -> None:
        """Make further segments in memory, as a write has failed. Raises SpoolUnavailable if it failed there."""
        with self._making:
            self._discard()
            self._fall_back(error)

    def stop(self) -> None:
        """Remove the segment that was made ahead, and make no other."""
        with self._making:
            self._stopped = True
            self._discard()

    def release(self) -> None:
        """Close it without a trace, in a forked child: the file belongs to the parent."""
        self._stopped = True
        if self._next is not None:
            self._next.close()
            self._next = None

    def _discard(self) -> None:
        if self._next is not None:
            self._next.discard()
            self._next = None

    def _make(self, *, beyond_limit: bool) -> SegmentFile:
        name = self._name()
        try:
            return self.place.segment(name, beyond_limit=beyond_limit)
        except OSError as error:
            self._fall_back(error)
        try:
            return self.place.segment(name, beyond_limit=beyond_limit)
        except OSError as error:
            raise SpoolUnavailable(_why(error, self.place.path)) from None

    def _name(self) -> SegmentName:
        self._number += 1
        return SegmentName(self._nonce, self._number)

    def _fall_back(self, error: OSError) -> None:
        if self.place.in_memory:
            raise SpoolUnavailable(_why(error, self.place.path)) from None
        self.place = self._memory(error)

    def _memory(self, error: OSError) -> Place:
        try:
            place = Place.memory_of(self._folder, *self._sizes)
        except OSError as second:
            raise SpoolUnavailable(f"{_why(error, self._folder)} Memory cannot either: {second}.") from None
        self._notice(f"{_why(error, self._folder)} Until the next start, its records go to memory ({place.path}).")
        return place


def _why(error: OSError, path: Path) -> str:
    return f"The spool in {path} cannot be written: {error.strerror or error}."
