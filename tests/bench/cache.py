"""``python -m tests.bench.cache [--rounds N] [--size BYTES] [--stream] [--redis]``: what the cache of answers costs.

CPU time of the gateway per request: relayed with the cache off, missed and hit with it on. Both gateways run at the
same time, and keep their connections. A round measures each kind once, in another order each time. The output is the
median of the rounds' ratios to a relayed request, with its 95 % bounds. Exit code 1 if a median is above its target.

    python -m tests.bench.cache --stream         answers that are streams of EVENTS events
    python -m tests.bench.cache --redis          also with answers in Redis, a running one or one that is started
    python -m tests.bench.cache --memory         100,000 answers of 4 KB in memory, by the size of the process
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from proxy.cache.base import AnswerFacts, CachedAnswer
from proxy.cache.memory import MemoryAnswers
from tests.bench.child import cores
from tests.bench.dialects import CHAT
from tests.bench.peers.sluice import Sluice
from tests.bench.run import upstream

LIMIT: Final = 900  # s
CONNECTIONS: Final = 8
REQUESTS: Final = 400  # of one measurement, so that the machine changes little between those of a round
STREAMS: Final = 100
EVENTS: Final = 40
INTERVAL: Final = 0.001  # s between them
REST: Final = 0.06  # s after a measurement, for reports, which are made 20 ms later
TARGETS: Final = {"miss": 1.10, "hit": 0.70}
ANSWERS: Final = 100_000
ANSWER: Final = 4096  # bytes
MOST_MEMORY: Final = 1.3

Requests = Iterator[bytes]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cache", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument(
        "--size", type=int, default=2000, metavar="BYTES", help="about so many in the body of a request"
    )
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    signal.alarm(LIMIT)
    return memory() if given.memory else compare(given)


def compare(given: argparse.Namespace) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-bench-")))
        provider = stack.enter_context(upstream(folder))

        def peer(name: str, **changes: Any) -> Gauge:
            (folder / name).mkdir()
            found = Sluice(provider, folder / name, traffic=CHAT, changes=changes)
            stack.callback(found.stop)
            found.start(cores()[0])
            return Gauge(found, STREAMS if given.stream else REQUESTS)

        section = {"enabled": True, "allow": ["tools"]}
        off, on = peer("off"), peer("on", cache=section)
        new, same = requests_of(given), iter(lambda: same_request, b"")
        same_request = next(new)
        kinds = {"relayed": (off, new), "miss": (on, new), "hit": (on, same)}
        if given.redis:
            from tests.support.services import redis_url

            redis = {"url": redis_url(), "prefix": f"bench-{uuid4().hex}"}
            shared = peer("redis", cache={**section, "store": "redis", "ttlSecs": 300}, redis=redis)
            kinds |= {"miss of Redis": (shared, new), "hit of Redis": (shared, same)}
        found = asyncio.run(measured(kinds, given.rounds))
    return report(found)


def requests_of(given: argparse.Namespace) -> Requests:
    """Requests that differ from each other."""
    for number in count(1):
        if given.stream:
            yield CHAT.stream_request(CHAT.path, Sluice.model, EVENTS, INTERVAL, number=number, size=given.size)
        else:
            yield CHAT.plain_request(CHAT.path, Sluice.model, number, given.size)


async def measured(kinds: Mapping[str, tuple[Gauge, Requests]], rounds: int) -> dict[str, list[float]]:
    """Microseconds of CPU per request, by kind and round."""
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    names = list(kinds)
    for number in range(rounds + 2):
        first = number % len(names)
        for kind in names[first:] + names[:first]:
            gauge, requests = kinds[kind]
            used = await gauge.measure(requests)
            if number >= 2:  # the first rounds warm up
                found[kind].append(used)
    return found


def report(found: Mapping[str, Sequence[float]]) -> int:
    code, relayed = 0, found["relayed"]
    print(f"relayed: {statistics.median(relayed):.1f} us")
    for kind, values in found.items():
        if kind != "relayed":
            low, middle, high = _median_with_bounds([one / other for one, other in zip(values, relayed, strict=True)])
            target = TARGETS.get(kind)
            bound = "" if target is None else f", target {target:.2f}"
            print(f"{kind}: {statistics.median(values):.1f} us, {middle:.3f} x ({low:.3f} to {high:.3f}){bound}")
            code |= target is not None and middle > target
    return code


def _median_with_bounds(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the 95 % bounds of it that hold for any distribution (a sign test)."""
    ordered, number = sorted(values), len(values)
    apart = 0.98 * math.sqrt(number)
    low, high = max(0, math.floor(number / 2 - apart)), min(number - 1, math.ceil(number / 2 + apart))
    return ordered[low], statistics.median(ordered), ordered[high]


class Gauge:
    """The CPU time that a gateway takes for ``number`` requests at a time."""

    def __init__(self, peer: Sluice, number: int) -> None:
        self._peer = peer
        self._number = number
        self._connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def measure(self, requests: Requests) -> float:
        """Microseconds per request."""
        chosen = list(islice(requests, self._number))
        while len(self._connections) < CONNECTIONS:
            self._connections.append(await self._connect())
        before = self._used()
        await asyncio.gather(
            *(_send(*each, chosen[place::CONNECTIONS]) for place, each in enumerate(self._connections))
        )
        await asyncio.sleep(REST)
        return (self._used() - before) / len(chosen) / 1000

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = time.monotonic() + self._peer.patience
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", self._peer.port)
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("the gateway did not start") from None
                await asyncio.sleep(0.1)

    def _used(self) -> int:
        """CPU time of the process's main thread, in nanoseconds."""
        assert self._peer.child is not None
        return int(Path(f"/proc/{self._peer.child.pid}/schedstat").read_text().split()[0])


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Sequence[bytes]) -> None:
    """Send requests one after the other."""
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"void: {head[:200]!r}")
        length = re.search(rb"content-length: (\d+)", head.lower())
        await (reader.readexactly(int(length[1])) if length else reader.readuntil(b"\r\n0\r\n\r\n"))


def memory() -> int:
    """Fill a store, and compare what the process has grown by with the bodies."""
    store = MemoryAnswers(1 << 30)
    facts = AnswerFacts(False, b"application/json", b"", "m", "p", "m", "u", "r", (), 3600.0, 0.0)
    gc.collect()
    before, now = _resident(), time.time()
    for number in range(ANSWERS):
        key = number.to_bytes(32)
        store.put(
            key, CachedAnswer(bytes(ANSWER), facts, now + number / 1000, 1000 + number, 700 + number, 300 + number), 0
        )
    grown, size = _resident() - before, ANSWERS * ANSWER
    print(
        f"{ANSWERS:,} answers of {ANSWER} bytes: {grown / size:.3f} x their size; accounted {store.glance().size / size:.3f} x"
    )
    return int(grown > MOST_MEMORY * size)


def _resident() -> int:
    """Bytes of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


if __name__ == "__main__":
    sys.exit(main())
