"""A backend dies and comes back under load: ``python -m tests.services.acceptance`` prints what the clients saw.

Three backends behind a gateway get 200 requests a second, a quarter of them POSTs. One is killed; half a second later its
source says that it is gone; two seconds later it is started again, and the source says so, too. Consul (the fake), DNS,
a file and the admin API are the source in turn.

Ends with 1 if a client saw an error, or if a backend was not used as it should be. Only a POST that was in flight at the
backend when it died may fail, as it is not safe to repeat.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

from tests.services.acceptance.backend import HOSTS, Backend
from tests.services.acceptance.load import Load
from tests.services.acceptance.sources import SOURCES, Source, call_admin
from tests.support.gateway import ADMIN, GatewayProcess
from tests.support.patience import until
from tests.support.ports import free_port

RATE: Final = 200
STEADY_SECS: Final = 2.0
UNTOLD_SECS: Final = 0.5  # after its death, until the source says so
AWAY_SECS: Final = 2.0


class Line(NamedTuple):
    """What clients saw with one source.

    ``failed``: GETs, and POSTs that were not in flight when the backend died. ``lost``: POSTs that were. ``retries``:
    further attempts of the gateway. ``back_secs``: from the start of the backend until it answered a request again.
    """

    source: str
    requests: int
    failed: int
    lost: int
    retries: int
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
        await call_admin(gateway, "POST", "/routes", {"path": "/web", "service": source.service})
        load = await stack.enter_async_context(Load(f"http://127.0.0.1:{gateway.port}/web", RATE))
        return await _watched(source, backends[0], load, gateway)


async def _watched(source: Source, victim: Backend, load: Load, gateway: GatewayProcess) -> Line:
    now = asyncio.get_running_loop().time
    await until(lambda: len(load.used(0, now())) == len(HOSTS), "all backends to be used")
    load.answered.clear()
    await asyncio.sleep(STEADY_SECS)
    killed = now()
    await victim.kill()
    dead = now()
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
    lost = [each for each in load.errors if each.method == "POST" and each.during(killed, dead)]
    failed = [each for each in load.errors if each not in lost]
    for error in failed[:5]:
        print(f"{source.name}: {error}", file=sys.stderr)
    retries = await _retries(gateway)
    return Line(source.name, len(load.answered), len(failed), len(lost), retries, shares, away, back)


async def _retries(gateway: GatewayProcess) -> int:
    client = await gateway.client()
    answer = await client.fetch("GET", "/metrics", headers=[("Authorization", f"Bearer {ADMIN}")])
    found = re.search(rb'^sluice_service_retries_total\{service="web"\} (\S+)', answer.body, re.M)
    return int(float(found[1])) if found is not None else 0


async def _main() -> int:
    lines = [await line(source("web")) for source in SOURCES]
    print(
        "| source | requests | errors | POSTs lost in flight | retries | answered by | while away | used again after |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for each in lines:
        print(
            f"| {each.source} | {each.requests} | {each.failed} | {each.lost} | {each.retries} | {each.by_backend} |"
            f" {each.away} | {each.back_secs:.2f} s |"
        )
    return int(any(each.wrong for each in lines))


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
