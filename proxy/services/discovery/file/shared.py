"""One file that several services may be in: it is looked at once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from proxy.config.mistakes import Mistakes
from proxy.config.watch import FileWatch, Stamp, stamp
from proxy.errors import ConfigError
from proxy.services.discovery.base import SourceState
from proxy.services.discovery.file.parsing import FoundServices, parse

POLL_SECS: Final = 1.0
MOST_BYTES: Final = 16_000_000


class FileClocks(Struct, frozen=True):
    """``wall``: Unix seconds. Both are replaced in tests."""

    wall: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class SharedFile:
    """``found``: what the file had when it was last right; ``None``: it never was. ``state``: of the last look."""

    def __init__(self, path: Path, clocks: FileClocks) -> None:
        self.path = path
        self.found: FoundServices | None = None
        self.state = SourceState(up=False)
        self._clocks = clocks
        self._watch = FileWatch()
        self._read: Stamp | None = None
        self._followers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set after each look that changed something. Looks go on while someone follows."""
        event = asyncio.Event()
        self._followers.add(event)
        if self.state.up or self.state.error:
            event.set()  # there was a look before
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"services of {self.path}")
        try:
            yield event
        finally:
            self._followers.discard(event)
            if not self._followers:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        await self._look()
        while True:
            await self._clocks.sleep(POLL_SECS)
            if self._watch.changed({self.path: self._read}):
                await self._look()
            elif self._read is not None and stamp(self.path) is None:
                self._read = None
                self._keep(f"{self.path}: no such file")

    async def _look(self) -> None:
        self._read = stamp(self.path)  # before it is read, so that a later change is seen
        try:
            # A large file takes a while to parse; meanwhile the loop goes on.
            found = await asyncio.to_thread(_load, self.path)
        except ConfigError as error:
            self._keep("; ".join(error.mistakes))
        except Exception as error:  # of any kind: the next change may be right again
            self._keep(f"{self.path}: unexpected {type(error).__name__}")
        else:
            self.found = found
            self.state = SourceState(up=True, at=self._clocks.wall())
            for event in self._followers:
                event.set()

    def _keep(self, why: str) -> None:
        """What was found stays."""
        self.state = SourceState(up=False, at=self.state.at, error=why)


def _load(path: Path) -> FoundServices:
    label, mistakes = str(path), Mistakes()
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        mistakes.add(label, "", "no such file")
    except OSError as error:
        mistakes.add(label, "", f"cannot be read: {error.strerror}")
    else:
        if len(content) <= MOST_BYTES:
            return parse(content, label)
        mistakes.add(label, "", f"has more than {MOST_BYTES} bytes")
    raise ConfigError(mistakes)
