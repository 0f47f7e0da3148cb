"""A spool on a disk that fills up, and one on a read-only disk: ``unshare -rm python -m tests.ledger.spool.disks FOLDER``.

It mounts both below the folder, so it needs a mount namespace of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from proxy.ledger.full import SpoolFull
from proxy.ledger.spool.reader import SpoolReader
from tests.ledger.spool.spools import Clock, close, only_gateway, read_all, reader, writer

SEGMENT = 128 << 10


def mount(folder: Path, options: str) -> None:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)


def take(spool: SpoolReader) -> list[tuple[str, bytes]]:
    """Read all records, and remove their segments."""
    records = read_all(spool)
    for segment in only_gateway(spool).segments:
        if segment.drained:
            spool.forget(segment.name)
    return records


def fill_up(folder: Path) -> None:
    clock = Clock()
    spool, found = writer(folder, limit_bytes=1 << 30, segment_bytes=SEGMENT, now=clock), reader(folder)
    opened: list[bytes] = []
    try:
        while True:
            payload = b"%d." % len(opened) + bytes(500)
            spool.open(payload)
            opened.append(payload)
    except SpoolFull as error:
        if "is full" not in str(error):
            raise
    assert len(opened) > 1000, len(opened)
    for payload in opened:
        close(spool, payload)
    assert spool.where == folder
    assert spool.dropped == 0
    records = take(found)
    assert [payload for kind, payload in records if kind == "open"] == opened
    for _ in range(5):
        clock.now += 1
        try:
            spool.open(b"accepted again")
            break
        except SpoolFull:  # the close records that waited have filled it again
            records += take(found)
    spool.end()
    records += read_all(found)
    assert records[-1] == ("open", b"accepted again"), records[-1]
    assert [payload for kind, payload in records if kind == "close"] == opened


def be_read_only(folder: Path) -> None:
    notices: list[str] = []
    spool = writer(folder, notices.append)
    assert spool.in_memory
    assert "Read-only file system" in notices[0], notices
    spool.end()
    for segment in spool.where.iterdir():
        segment.unlink()
    spool.where.rmdir()


def main() -> None:
    root = Path(sys.argv[1])
    mount(root / "small", "size=1m")
    fill_up(root / "small")
    mount(root / "read-only", "ro")
    be_read_only(root / "read-only")


if __name__ == "__main__":
    main()
