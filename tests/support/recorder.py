"""The recorder of a gateway in another process."""

from __future__ import annotations

from pathlib import Path

from proxy.ledger.recorder.folders import has_segments, is_recorded
from proxy.ledger.recorder.status import read_status
from tests.support.patience import until


async def recorder_works(spool: Path) -> None:
    """Wait until it writes rows: a gateway that stops ends one that does not, and leaves them to the next start."""

    def works() -> bool:
        status = read_status(spool)
        return status is not None and status.database

    await until(works, "the recorder to work")


async def recorder_ended(spool: Path) -> None:
    """Wait until it has written all, and ended. It outlives its gateway."""
    await until(lambda: not has_segments(spool) and not is_recorded(spool), "the recorder to write all, and end")
