"""``python -m tests.bench.cache [--rounds N] [--size BYTES]``: what the cache of answers costs and saves.

CPU time of the gateway per request, in microseconds: relayed with the cache off, missed and hit with it on. Both
gateways run at the same time, and the rounds of the three alternate. The output is the geometric mean of the ratios to
a relayed request, with its upper 95 % bound. Exit code 1 if a mean is above its target.

    python -m tests.bench.cache --memory         100,000 answers of 4 KB in memory, by the size of the process
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from proxy.cache.base import AnswerFacts, CachedAnswer
from proxy.cache.memory import MemoryAnswers
from tests.bench.ab import ratio_with_bound
from tests.bench.child import cores
from tests.bench.dialects import CHAT
from tests.bench.instructions import CONNECTIONS, _load
from tests.bench.peers.sluice import Sluice
from tests.bench.run import upstream

LIMIT: Final = 900  # s
REQUESTS: Final = 1600  # of a round
TARGETS: Final = {"miss": 1.10, "hit": 0.70}
ANSWERS: Final = 100_000
ANSWER: Final = 4096  # bytes
MOST_MEMORY: Final = 1.3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cache", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument(
        "--size", type=int, default=2000, metavar="BYTES", help="about so many in the body of a request"
    )
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    signal.alarm(LIMIT)
    return memory() if given.memory else compare(given.rounds, given.size)


def compare(rounds: int, size: int) -> int:
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name, upstream(Path(name)) as provider:
        off = Sluice(provider, _folder(name, "off"), traffic=CHAT)
        on = Sluice(
            provider, _folder(name, "on"), traffic=CHAT, changes={"cache": {"enabled": True, "allow": ["tools"]}}
        )
        try:
            for peer in (off, on):
                peer.start(cores()[0])
                _await(peer)
            found = _measured(off, on, rounds, size)
        finally:
            off.stop()
            on.stop()
    code = 0
    relayed = found["relayed"]
    print(f"relayed: {sum(relayed) / len(relayed):.1f} us")
    for kind, target in TARGETS.items():
        mean, bound = ratio_with_bound(relayed, found[kind])
        print(f"{kind}: {sum(found[kind]) / rounds:.1f} us, {mean:.3f} x (at most {bound:.3f}), target {target:.2f}")
        code |= mean > target
    return code


def _measured(off: Sluice, on: Sluice, rounds: int, size: int) -> dict[str, list[float]]:
    numbers = count()
    found: dict[str, list[float]] = {"relayed": [], "miss": [], "hit": []}
    same = CHAT.plain_request(CHAT.path, Sluice.model, next(numbers), size)

    def new() -> Iterator[bytes]:
        for _ in range(REQUESTS):
            yield CHAT.plain_request(CHAT.path, Sluice.model, next(numbers), size)

    for number in range(rounds + 1):
        for kind, peer in (("relayed", off), ("miss", on), ("hit", on)):
            used = _cpu(peer, [same] * REQUESTS if kind == "hit" else list(new()))
            if number:  # the first round warms up
                found[kind].append(used)
    return found


def _cpu(peer: Sluice, requests: list[bytes]) -> float:
    """Microseconds of CPU per request."""
    before = _time_of(peer)
    asyncio.run(_load(peer.port, requests))
    time.sleep(0.1)  # for reports, which are made 20 ms later
    return (_time_of(peer) - before) / len(requests) / 1000


def _time_of(peer: Sluice) -> int:
    """CPU time of the process's main thread, in nanoseconds."""
    assert peer.child is not None
    return int(Path(f"/proc/{peer.child.pid}/schedstat").read_text().split()[0])


def _await(peer: Sluice) -> None:
    import socket

    deadline = time.monotonic() + peer.patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", peer.port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit("the gateway did not start") from None
            time.sleep(0.1)


def _folder(name: str, kind: str) -> Path:
    folder = Path(name) / kind
    folder.mkdir()
    return folder


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
    assert CONNECTIONS
    sys.exit(main())
