"""The machine: versions, the limit of open files, and the folder for data."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.commands.live.finding import Finding, Live, failed, ok, warning
from proxy.config.schema import ServerSettings

if TYPE_CHECKING:
    from proxy.commands.live.run import Check

SPARE_FILES: Final = 200  # for the log, the database, Redis, providers' lists and the like
LOW_BYTES: Final = 500 * 1024 * 1024


def checks(live: Live) -> Iterator[Check]:
    yield "python", _python
    yield "open files", partial(_open_files, live.config.server)
    yield "dataDir", partial(_data_dir, Path(live.config.data_dir))


async def _python() -> Sequence[Finding]:
    return [ok("python", f"{platform.python_implementation()} {platform.python_version()}, uvloop {version('uvloop')}")]


async def _open_files(server: ServerSettings) -> Sequence[Finding]:
    return [open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], server)]


def open_files(limit: int, server: ServerSettings) -> Finding:
    """``limit`` is the soft one: the gateway does not raise it."""
    if limit == resource.RLIM_INFINITY:
        return ok("open files", "no limit")
    # Each client connection is a file, and so is the connection to a provider of each running request.
    wanted = server.max_connections + server.max_in_flight + SPARE_FILES
    if limit >= wanted:
        return ok("open files", f"at most {limit}")
    return warning(
        "open files",
        f"at most {limit}, but server.maxConnections and server.maxInFlight may need {wanted}; raise the limit"
        " (ulimit -n, LimitNOFILE= of systemd), or lower both",
    )


async def _data_dir(folder: Path) -> Sequence[Finding]:
    return [data_dir(folder)]


def data_dir(folder: Path) -> Finding:
    """Whether the process can write there. A missing folder is not made."""
    there = folder.absolute()
    existing = next(each for each in (there, *there.parents) if each.exists())
    if not existing.is_dir():
        return failed("dataDir", f"{existing} is not a folder; name another one with dataDir or DATA_DIR")
    if existing == there:
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            return failed(
                "dataDir", f"{folder} is not writable for user {os.geteuid()} ({error.strerror}); change its owner"
            )
    elif not os.access(existing, os.W_OK | os.X_OK):
        return failed("dataDir", f"{folder} is missing and cannot be made in {existing} by user {os.geteuid()}")
    free = shutil.disk_usage(existing).free
    text = f"{folder} is writable" if existing == there else f"{folder} will be made when it is needed"
    if free < LOW_BYTES:
        return warning("dataDir", f"{text}, but its disk has only {free >> 20} MB left; make room")
    return ok("dataDir", f"{text}, {free / 2**30:.1f} GB free")
