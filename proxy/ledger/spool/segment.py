"""A segment being written: its file, its space on the disk, and its lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from errno import EDQUOT, EINVAL, ENOSPC, EOPNOTSUPP
from pathlib import Path
from typing import Final

from proxy.ledger.spool.folder import SegmentName
from proxy.ledger.spool.format import PREFIX, SEAL, Record, encode_header, encode_records
from proxy.ledger.spool.locks import lock

DISK_FULL: Final = (ENOSPC, EDQUOT)

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class SegmentFile:
    """Written by pwrite(2), into space that is allocated before.

    So a full disk shows when a segment is made, not when a record is written. On ext4, while the file was synced, such
    writes took at most 0.5 ms, and writes that append up to 60 ms, as they wait for the journal. A mapping takes 0.7 us
    less for a record, but a disk that turns read-only would then kill the process by SIGBUS.
    """

    __slots__ = ("_descriptor", "_path", "_seed", "offset", "open_end", "size")

    def __init__(self, descriptor: int, path: Path, seed: int, offset: int, size: int) -> None:
        self._descriptor = descriptor
        self._path = path
        self._seed = seed
        self.offset = offset
        """Where the next record begins."""
        self.size = size - PREFIX
        """Offset at which the last record ends at the latest, with room for a seal."""
        self.open_end = size - size // 8
        """Offset at which the last open record ends. The rest is for close records, if there is no other space."""

    @classmethod
    def create(cls, folder: Path, name: SegmentName, size: int, *, allocate: bool) -> SegmentFile:
        """Make, lock and publish an empty segment of ``size`` bytes. Raises OSError, and then no file is left.

        It has its name only once it is locked: a reader that sees it unlocked knows that its gateway is dead.
        """
        unfinished, path = folder / name.unfinished, folder / name.file
        descriptor = os.open(unfinished, _FLAGS, 0o600)
        try:
            if not lock(descriptor):
                raise BlockingIOError(f"{unfinished} is locked")
            header = encode_header(*name)
            if allocate:
                _allocate(descriptor, size)
            if os.pwrite(descriptor, header, 0) != len(header):
                raise _no_space(unfinished)
            unfinished.rename(path)
        except BaseException:
            os.close(descriptor)
            unfinished.unlink(missing_ok=True)
            raise
        return cls(descriptor, path, int.from_bytes(header[-4:], "little"), len(header), size)

    def append(self, records: Sequence[Record], end: int) -> bool:
        """Write records; ``False``: they would end after offset ``end``. Raises OSError, and then none was appended.

        They are in the page cache when this returns, and survive the process.
        """
        encoded = encode_records(records, self._seed)
        offset = self.offset
        after = offset + len(encoded)
        if after > end:
            return False
        written = os.pwrite(self._descriptor, encoded, offset)
        if written != len(encoded):
            os.pwrite(self._descriptor, bytes(written), offset)  # some of them may be whole
            raise _no_space(self._path)
        self.offset = after
        return True

    def seal(self) -> None:
        """Say that nothing follows, and give up the lock. A disk that fails now only leaves the segment unsealed."""
        try:
            self.append([(SEAL, b"")], self.size + PREFIX)
        except OSError:
            pass
        self.close()

    def discard(self) -> None:
        """Remove a segment without records. A disk that fails now leaves it to the recorder."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """Give up the lock without a seal."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _allocate(descriptor: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except AttributeError:
        pass  # macOS
    except OSError as error:
        if error.errno not in (EOPNOTSUPP, EINVAL):  # a file system without it: records are appended
            raise


def _no_space(path: Path) -> OSError:
    return OSError(ENOSPC, os.strerror(ENOSPC), str(path))
