"""Two gateways with one spool, and the means to kill what runs there."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from proxy.ledger.recorder.folders import has_segments
from proxy.ledger.recorder.process import DONE, TAKEN
from proxy.ledger.recorder.status import read_status
from tests.ledger.kills.budgets import BUDGETS
from tests.ledger.kills.stores import Store
from tests.ledger.load.requests import configuration
from tests.support.gateway import ROOT, GatewayProcess

GATEWAYS = 2
DRAINED_SECS = 60.0
LOOKS_SECS = 2.0  # for a transaction
RECORDER_SECS = 90.0  # until there is a recorder again: it is started later each time that it dies
_VICTIMS = ("gateway", "recorder", "recorder in a transaction", "gateway and recorder", "all gateways")
VICTIMS = {
    "sqlite": (*_VICTIMS, "all gateways and recorder"),
    "postgresql": (
        *_VICTIMS,
        *("database", "database in a transaction", "database and recorder"),
        "all gateways, database and recorder",
    ),
}


class Site:
    """``async with``: the gateways run. ``ports`` is their list, which changes with each start."""

    def __init__(self, folder: Path, store: Store, urls: Sequence[str], dice: random.Random) -> None:
        self.store = store
        self.spool = folder / "spool"
        self._folder = folder
        self.ports: list[int] = []
        self._dice = dice
        self._config = configuration(
            urls,
            dataDir=str(folder),
            database={"url": store.settings.url},
            ledger={"enabled": True},
            **BUDGETS,
            logging={"level": "error"},
        )
        self._gateways: list[GatewayProcess] = []

    async def kill(self, victim: str) -> str:
        """Kill it, and start it again where nobody else does. Returns what was killed in fact."""
        recorder = await self._recorder() if "recorder" in victim or "transaction" in victim else None
        if "transaction" in victim:
            assert recorder is not None
            if not await self._stop_in_transaction(recorder):
                victim = victim.removesuffix(" in a transaction")
        gateways = self._gateways_of(victim)
        for number in gateways:
            await self._gateways[number].kill()
        if recorder is not None and "recorder" in victim:
            os.kill(recorder, signal.SIGKILL)
        if "database" in victim:
            self.store.kill()
            if recorder is not None and "recorder" not in victim:
                os.kill(recorder, signal.SIGCONT)
        await asyncio.sleep(self._dice.uniform(0.0, 0.5))
        if "database" in victim:
            await self.store.start()
        for number in gateways:
            await self._start(number)
        return victim

    async def stop(self) -> None:
        """Stop the gateways in good order."""
        for gateway in self._gateways:
            gateway.signal()
        for gateway in self._gateways:
            await gateway.wait()

    def _gateways_of(self, victim: str) -> Sequence[int]:
        if "all gateways" in victim:
            return range(GATEWAYS)
        return [self._dice.randrange(GATEWAYS)] if "gateway" in victim else []

    async def drain(self) -> list[str]:
        """Write what is left in the spool, as an operator does, unless a recorder is at it. Returns what was wrong."""
        settings = {"dataDir": str(self._folder), "database": {"url": self.store.settings.url}}
        path = self._folder / "record.yaml"
        path.write_bytes(msgspec.yaml.encode(settings))
        command = (sys.executable, "-m", "proxy", "record", "--config", str(path))
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAINED_SECS
        while has_segments(self.spool) and loop.time() < until:
            process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
            _, words = await process.communicate()
            if process.returncode not in (DONE, TAKEN):
                return [f"sluice record ended with {process.returncode}: {words.decode()[-500:]}"]
            await asyncio.sleep(0.1)
        return [f"segments are left after {DRAINED_SECS:g} s"] if has_segments(self.spool) else []

    async def _start(self, number: int) -> None:
        gateway = self._gateways[number] = GatewayProcess(self._config)
        await gateway.start()
        self.ports[number] = gateway.port

    async def _recorder(self) -> int:
        """The process id of the recorder, once it works."""
        async with asyncio.timeout(RECORDER_SECS):
            while (found := recorder_of(self.spool)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return found

    async def _stop_in_transaction(self, recorder: int) -> bool:
        """Stop the recorder (SIGSTOP) in a transaction; returns ``False``, and lets it go on, if it had none."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LOOKS_SECS
        while loop.time() < until:
            os.kill(recorder, signal.SIGSTOP)
            if await self.store.busy():
                return True
            os.kill(recorder, signal.SIGCONT)
            await asyncio.sleep(self._dice.uniform(0.0, 0.005))
        return False

    async def __aenter__(self) -> Site:
        for _ in range(GATEWAYS):
            self._gateways.append(GatewayProcess(self._config))
            await self._gateways[-1].start()
            self.ports.append(self._gateways[-1].port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for gateway in self._gateways:
            await gateway.kill()
        recorder = recorder_of(self.spool)
        if recorder is not None:
            os.kill(recorder, signal.SIGKILL)


def recorder_of(spool: Path) -> int | None:
    """The process that has the lock file of this spool open, by what the status file says; ``None``: there is none."""
    status = read_status(spool)
    if status is None:
        return None
    try:
        files = [os.readlink(each) for each in Path(f"/proc/{status.pid}/fd").iterdir()]
    except OSError:
        return None
    return status.pid if str(spool / "recorder.lock") in files else None
