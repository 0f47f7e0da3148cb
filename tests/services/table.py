"""A backend dies and comes back under load: ``python -m tests.services.table`` prints what the clients saw.

Three backends behind a gateway get 200 requests a second. One is killed; half a second later its source says that it is
gone; two seconds later it is started again, and the source tells that, too. Consul (the fake), DNS and the admin API
are the source in turn. Ends with 1 if a client saw an error, or if a backend was not used as it should be.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

from tests.services.acceptance.backend import HOSTS, Backend
from tests.services.acceptance.load import Load
from tests.services.acceptance.sources import ApiSource, ConsulSource, DnsSource, Source
from tests.support.gateway import GatewayProcess
from tests.support.patience import until
from tests.support.ports import free_port

RATE: Final = 200
STEADY_SECS: Final = 2.0
UNTOLD_SECS: Final = 0.5  # after its death, until the source says so
AWAY_SECS: Final = 2.0


class Line(NamedTuple):
    """``failed``: requests for which a client saw an error. Seconds after its start until it had an answer again."""

    source: str
    requests: int
    failed: int
    by_backend: str
    away: int
    back_secs: float

    @property
    def wrong(self) -> bool:
        return self.failed > 0 or self.away > 0


async def line(source: Source) -> Line:
    async with AsyncExitStack() as stack:
        port = free_port()
        backends = [Backend(host, port) for host in HOSTS]
        for each in backends:
            await each.start()
            stack.push_async_callback(each.kill)
        settings = await source.start(backends, stack)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        gateway = await stack.enter_async_context(GatewayProcess({"dataDir": folder, "demo": "auto", **settings}))
        await source.begin(gateway)
        load = await stack.enter_async_context(Load(f"http://127.0.0.1:{gateway.port}/web", RATE))
        return await _watched(source, backends[0], load)


async def _watched(source: Source, victim: Backend, load: Load) -> Line:
    now = asyncio.get_running_loop().time
    await until(lambda: len(load.used(0, now())) == len(HOSTS), "all backends to be used")
    load.answered.clear()
    await asyncio.sleep(STEADY_SECS)
    await victim.kill()
    await asyncio.sleep(UNTOLD_SECS)
    await source.leave(victim)
    gone = now() + UNTOLD_SECS
    await asyncio.sleep(AWAY_SECS)
    await victim.start()
    started = now()
    away = load.used(gone, started)[victim.host]
    await source.join(victim)
    await until(lambda: load.used(started, now())[victim.host], "the backend to be used again")
    back = now() - started
    await asyncio.sleep(STEADY_SECS)
    shares = ", ".join(f"{host} {count}" for host, count in sorted(load.used(0, now()).items()))
    for error in load.errors[:5]:
        print(f"{source.name}: {error.error}", file=sys.stderr)
    return Line(source.name, len(load.answered), len(load.errors), shares, away, back)


SOURCES: Final[tuple[Callable[[], Source], ...]] = (ConsulSource, DnsSource, ApiSource)


async def _main() -> int:
    lines = [await line(source()) for source in SOURCES]
    print("| source | requests | errors | answered by | answered by it while it was away | used again after |")
    print("| --- | --- | --- | --- | --- | --- |")
    for each in lines:
        print(
            f"| {each.source} | {each.requests} | {each.failed} | {each.by_backend} | {each.away} |"
            f" {each.back_secs:.2f} s |"
        )
    return int(any(each.wrong for each in lines))


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
