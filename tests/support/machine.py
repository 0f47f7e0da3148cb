"""What test processes share on one machine: steps that only one of them may take at a time."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_at_a_time(step: str) -> Iterator[None]:
    """Wait until no other process of this user is within the same ``step``."""
    path = Path(tempfile.gettempdir()) / f"sluice-tests-{os.getuid()}-{step}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, also when the process is killed
        yield
