"""A segment being read, while its gateway may still write it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.format import (
    HEADER_BYTES,
    MOST_PAYLOAD,
    PREFIX,
    SEAL,
    VERSION,
    decode_header,
    parse,
    record_bytes,
)
from proxy.ledger.spool.locks import is_locked

PEEK: Final = 4096  # bytes that a look reads first: mostly there are none
PIECE: Final = 64 << 10  # bytes of further reads, which take memory
CHUNK: Final = PREFIX + MOST_PAYLOAD  # of one that gets a record longer than that whole


class Damage(NamedTuple):
    """The part of a finished segment that is no valid record."""

    offset: int
    length: int
    """Bytes up to the last one that is not zero."""
    torn: bool
    """All of it is one record, whose writer was killed before it had written it."""


class SegmentFollower:
    """Reads each record once. Methods that read raise OSError; one that finds no file sets ``gone``."""

    def __init__(self, folder: Path, name: SegmentName) -> None:
        self.name = name
        self.path = folder / name.file
        self.complete = False
        """Nobody writes it any more."""
        self.drained = False
        """It is complete, and all its records were read."""
        self.sealed = False
        """Its writer finished it: nothing is missing at its end."""
        self.damage: Damage | None = None
        self.version = VERSION
        """A greater one is of a newer release, and is not read."""
        self.gone = False
        self._descriptor = -1
        self._seed = -1
        self._offset = 0
        self._modified = -1
        self._settled = False
        self._synced = False

    @property
    def is_newer(self) -> bool:
        return self.version > VERSION

    def is_written(self) -> bool:
        """Whether its gateway lives and holds it."""
        if not self.complete and not self.gone:
            self.complete = self._open() and not is_locked(self._descriptor)
        return not self.complete and not self.gone

    def read(self, most: int) -> list[tuple[int, bytes]]:
        """Records since the last call, in about ``most`` bytes at most; without the seal."""
        if self.drained or self.is_newer or not self._open() or not self._read_header():
            return []
        records: list[tuple[int, bytes]] = []
        until = self._offset + most
        size = PEEK
        while self._offset < until and not self.drained:
            data = os.pread(self._descriptor, size, self._offset)
            found = parse(data, self._seed)
            self._offset += found.end
            if found.records:
                records += found.records
                self._find_seal(records)
            if len(data) == size and (found.end == size or found.stop == "partial"):
                size = PIECE if found.end else CHUNK  # there may be more
            elif self.complete:
                self._finish()
            elif self.is_written():
                break
            # else look once more: it may have written before it died
        return records

    def sync(self) -> bool:
        """Call fdatasync if something was written since the last call; ``False``: nothing was.

        The time of a file moves in steps of up to 10 ms. So a file is synced once more after its time stopped, and
        calls have to be further apart than a step.
        """
        if self._synced or not self._open():
            return False
        complete = not self.is_written()
        modified = os.fstat(self._descriptor).st_mtime_ns
        if not complete and self._settled and modified == self._modified:
            return False
        os.fdatasync(self._descriptor)
        self._settled = modified == self._modified
        self._modified = modified
        self._synced = complete
        self._close_if_done()
        return True

    def remove(self) -> None:
        """Unlink it. With damage beyond a torn record it is renamed instead, as there may be records to rescue."""
        self.close()
        if self.damage is not None and not self.damage.torn:
            self.path.rename(self.path.with_suffix(".damaged"))
        else:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> bool:
        if self._descriptor < 0 and not self.gone:
            try:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self.gone = True
        return not self.gone

    def _read_header(self) -> bool:
        """Whether there are records to read. Segments get their name after their header."""
        if self._seed >= 0:
            return True
        header = decode_header(os.pread(self._descriptor, HEADER_BYTES, 0))
        if header is None or (header.nonce, header.number) != self.name:
            if not self.is_written():
                self._finish()
            return False
        self.version = header.version
        self._offset = header.length
        self._seed = header.seed
        return not self.is_newer

    def _find_seal(self, records: list[tuple[int, bytes]]) -> None:
        if records[-1][0] == SEAL:
            records.pop()
            self.sealed = self.complete = True

    def _finish(self) -> None:
        self.drained = True
        self.damage = self._find_damage()
        self._close_if_done()

    def _find_damage(self) -> Damage | None:
        end, offset = 0, self._offset
        start = data = os.pread(self._descriptor, CHUNK, offset)
        while data:
            if content := data.rstrip(b"\0"):
                end = offset + len(content)
            offset += len(data)
            data = os.pread(self._descriptor, CHUNK, offset)
        if not end:
            return None
        length = end - self._offset
        return Damage(self._offset, length, torn=self._seed >= 0 and length <= record_bytes(start))

    def _close_if_done(self) -> None:
        """A long backlog must not hold a descriptor for each file."""
        if self._synced:
            self.close()
