"""The gateway's end of the spool: open and close records and events, appended to segments that survive the process."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from proxy.ledger.full import SpoolFull
from proxy.ledger.spool.format import EVENT, NONCE_BYTES, OPEN, Record
from proxy.ledger.spool.locks import close_in_child
from proxy.ledger.spool.place import SpoolUnavailable
from proxy.ledger.spool.segment import DISK_FULL, SegmentFile
from proxy.ledger.spool.supply import SegmentSupply

SEGMENT_BYTES: Final = 4 << 20
"""About 5,000 attempts. One that lasts long keeps its segment on the disk."""

BACKLOG_BYTES: Final = 8 << 20
"""Records that wait in memory for space, at most."""

RETRY_SECS: Final = 0.1
"""Between two looks for space while there is none."""


class SpoolWriter:
    """Appends to segments in ``folder``. Records take one write to the page cache, and sometimes a new segment.

    ``limit_bytes`` counts the segments of all gateways in the folder; ``write`` may exceed it. ``notice`` takes a
    sentence when records go to memory, or are lost. ``in_thread`` runs a call in a thread: when half of a segment is
    used, the next one is made there. Without it, the record that needs a segment waits: 0.07 ms, or some milliseconds
    on a busy disk. Raises SpoolUnavailable if no segment can be made anywhere.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit_bytes: int,
        notice: Callable[[str], None],
        in_thread: Callable[[Callable[[], None]], object] | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.nonce = secrets.token_hex(NONCE_BYTES // 2)
        """Random, of this process; the prefix of its row ids."""
        self.full = ""
        """Why open records are refused; ``""``: they are not."""
        self.dropped = 0
        """Records that found no space, neither on the disk nor in memory."""
        self._notice = notice
        self._in_thread = in_thread
        self._now = now
        self._supply = SegmentSupply(folder, self.nonce, limit_bytes, segment_bytes, notice)
        self._current: SegmentFile | None = None
        # Offsets at which records end at the latest. 0: all take the slow path.
        self._open_end = 0
        self._write_end = 0
        self._abandoned: list[SegmentFile] = []  # locked until the end, so that their gateway counts as alive
        self._waiting: deque[Record] = deque()
        self._waiting_bytes = 0
        self._retry_at = 0.0
        self._ended = False
        try:
            self._rotate(beyond_limit=False)
        except SpoolFull as error:
            self._refuse_opens(error)
        close_in_child(self._leave)

    @property
    def where(self) -> Path:
        """The folder that is written to now."""
        return self._supply.place.path

    @property
    def in_memory(self) -> bool:
        """Whether ``where`` is in memory, and its records are lost when the machine or its container stops."""
        return self._supply.place.in_memory

    def has_room(self) -> bool:
        """Whether some open records may be promised now, and go to ``write`` later. Else they go to ``open``."""
        segment = self._current
        return segment is not None and segment.offset < self._open_end

    def open(self, payload: bytes) -> None:
        """Append an open record. Raises SpoolFull, and then no close record must follow."""
        self._append_new((OPEN, payload))

    def announce(self, payload: bytes) -> None:
        """Append an event, where an open record could be. Raises SpoolFull, and ValueError if it is too large."""
        self._append_new((EVENT, payload))

    def write(self, records: Sequence[Record]) -> None:
        """Append close records, and open records that were promised. Without space they wait in memory."""
        segment = self._current
        try:
            if segment is not None and segment.append(records, self._write_end):
                return
        except OSError:
            pass  # met again below
        for record in records:
            self._write_slowly(record)

    def end(self) -> None:
        """Seal the newest segment and give up all locks. Records that come later raise ValueError."""
        if self._ended:
            return
        try:
            self._write_waiting()
        except (SpoolFull, SpoolUnavailable) as error:
            self.dropped += len(self._waiting)
            self._notice(f"{len(self._waiting)} records are dropped: {error}")
        self._supply.stop()
        if self._current is not None:
            self._current.seal()
        self._stop()

    def _append_new(self, record: Record) -> None:
        segment = self._current
        try:
            if segment is not None and segment.append([record], self._open_end):
                return
        except OSError:
            pass  # met again below
        self._open_slowly(record)

    def _open_slowly(self, record: Record) -> None:
        self._check()
        if self.full:
            if self._now() < self._retry_at:
                raise SpoolFull(self.full)
        elif (segment := self._current) is not None and self._open_end < segment.open_end:
            self._open_end = segment.open_end
            if self._in_thread is not None:
                self._in_thread(self._supply.prepare)
        try:
            self._write_waiting()
            if self.full:
                self._supply.require()  # proves that there is space again
                self.full = ""
            self._put(record, promised=False)
        except (SpoolFull, SpoolUnavailable) as error:
            self._refuse_opens(error)
            raise SpoolFull(self.full) from None

    def _write_slowly(self, record: Record) -> None:
        self._check()
        if not self._waiting or self._now() >= self._retry_at:
            try:
                self._write_waiting()
                self._put(record, promised=True)
            except (SpoolFull, SpoolUnavailable) as error:
                self._refuse_opens(error)
            else:
                return
        self._wait(record)

    def _check(self) -> None:
        if self._ended:
            raise ValueError("The spool writer has ended, or belongs to the parent of this process.")

    def _put(self, record: Record, *, promised: bool) -> None:
        """Append to the current segment or a new one. Raises SpoolFull or SpoolUnavailable."""
        if not self._append(record, promised=promised):
            self._rotate(beyond_limit=promised)
            if not self._append(record, promised=promised):
                raise ValueError(f"A record of {len(record[1])} bytes does not fit in a segment.")

    def _append(self, record: Record, *, promised: bool) -> bool:
        """``False``: another segment is needed."""
        segment = self._current
        if segment is None:
            return False
        try:
            return segment.append([record], segment.size if promised else segment.open_end)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise SpoolFull(f"The disk of {self.where} is full.") from None
            self._abandoned.append(segment)
            self._current = None
            self._supply.leave_disk(error)
            return False

    def _rotate(self, *, beyond_limit: bool) -> None:
        try:
            segment = self._supply.take()
        except SpoolFull as error:
            if not beyond_limit:
                raise
            self._refuse_opens(error)
            segment = self._supply.take(beyond_limit=True)
        if self._current is not None:
            self._current.seal()
        self._current = segment
        if not self.full:
            self._open_end = segment.open_end if self._in_thread is None else segment.size // 2
        self._write_end = segment.size

    def _refuse_opens(self, error: Exception) -> None:
        self.full = str(error)
        self._retry_at = self._now() + RETRY_SECS
        self._open_end = 0

    def _wait(self, record: Record) -> None:
        self._write_end = 0
        size = len(record[1])
        if self._waiting_bytes + size > BACKLOG_BYTES:
            if not self.dropped:
                self._notice(f"Records are dropped, and their attempts will count as lost: {self.full}")
            self.dropped += 1
            return
        self._waiting.append(record)
        self._waiting_bytes += size

    def _write_waiting(self) -> None:
        while self._waiting:
            self._put(self._waiting[0], promised=True)
            self._waiting_bytes -= len(self._waiting.popleft()[1])
        if self._current is not None:
            self._write_end = self._current.size

    def _leave(self) -> None:
        """In a forked child: close everything, since the locks would outlive the parent."""
        self._supply.release()
        if self._current is not None:
            self._current.close()
        self._stop()

    def _stop(self) -> None:
        self._ended = True
        self._current = None
        for segment in self._abandoned:
            segment.close()
