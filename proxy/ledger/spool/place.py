"""Where a gateway's segments go: a folder on the disk, or one in memory, with the space that is left there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from proxy.ledger.full import SpoolFull
from proxy.ledger.spool.folder import SegmentName, make_folder, make_memory_folder, used_bytes
from proxy.ledger.spool.segment import DISK_FULL, SegmentFile

MEMORY_BYTES: Final = 32 << 20
"""At most so much in memory, whatever the limit of the spool: containers often have 64 MB of it."""


class SpoolUnavailable(Exception):
    """Neither the folder nor memory can be written. The text names both and says why."""


class Place:
    """A folder of segments. Making one raises OSError if the folder cannot be made."""

    def __init__(self, path: Path, limit_bytes: int, segment_bytes: int, *, in_memory: bool) -> None:
        self.path = path
        self.in_memory = in_memory
        self._limit = limit_bytes
        self._segment = segment_bytes

    @classmethod
    def on_disk(cls, folder: Path, limit_bytes: int, segment_bytes: int) -> Place:
        make_folder(folder)
        return cls(folder, limit_bytes, segment_bytes, in_memory=False)

    @classmethod
    def memory_of(cls, folder: Path, limit_bytes: int, segment_bytes: int) -> Place:
        return cls(make_memory_folder(folder), min(limit_bytes, MEMORY_BYTES), segment_bytes, in_memory=True)

    def segment(self, name: SegmentName, *, beyond_limit: bool = False) -> SegmentFile:
        """Make a segment. Raises SpoolFull, and OSError if this place cannot be used at all.

        In memory no space is allocated in advance: tmpfs fills it with zeros at once, which takes milliseconds.
        """
        try:
            if not beyond_limit and used_bytes(self.path) + self._segment > self._limit:
                raise SpoolFull(f"{self.path} has its {self._limit >> 20} MB of records that wait for the database.")
            return SegmentFile.create(self.path, name, self._segment, allocate=not self.in_memory)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise SpoolFull(f"The disk of {self.path} is full.") from None
            raise
