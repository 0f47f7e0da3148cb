"""Instructions per request: the same figure on every run, even on a noisy machine.

    python -m tests.bench.instructions [--tree FOLDER]      needs valgrind
    python -m tests.bench.instructions --tokens             per event of a stream instead
    python -m tests.bench.instructions --streams            per stream of two events
    python -m tests.bench.instructions --calls              per event of a tool call's arguments
    python -m tests.bench.instructions --dialect messages   Anthropic's API, on both sides
    python -m tests.bench.instructions --dialect messages --provider-dialect chat    translated
    python -m tests.bench.instructions --dialect get        requests without a body, to a service
    python -m tests.bench.instructions --size 4000          requests with tools and earlier turns
    python -m tests.bench.instructions --config '{"ledger": {"enabled": false}}'
    python -m tests.bench.instructions --config '{"cache": {"enabled": true}}' [--again]    of misses, or of hits

The gateway runs under callgrind with the shipped configuration (limits raised), with 16 connections.
It counts user code after a warm-up, and misses of first-level caches of 32 KB each for code and data, where an
interpreter spends half of its time. ``cycles`` is callgrind's estimate of the total
(https://valgrind.org/docs/manual/cl-manual.html); compare it between two trees only, never between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.child import ROOT, cores
from tests.bench.dialects import CHAT
from tests.bench.gets import TRAFFIC
from tests.bench.peers.sluice import Sluice
from tests.bench.run import upstream
from tests.bench.traffic import Traffic

LIMIT = 600  # s
CONNECTIONS = 16
WARM_UP = 640  # requests, so that first-time compilation and caching is not counted
EVENTS = 150  # of a stream, when tokens are counted
INTERVAL = 0.1  # s between them: under callgrind all is 50 times slower, and no read shall hold two of them
SHORT_INTERVAL = 0.02  # s, of streams that are counted as a whole


class Counted(Sluice):
    """The gateway under callgrind, which counts only between two calls of ``switch``."""

    name = "counted"
    patience = 120.0

    @property
    def found(self) -> Path:
        return self.folder / "callgrind"

    def command(self) -> list[str]:
        tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--cache-sim=yes"]
        return [*tool, f"--callgrind-out-file={self.found}", *super().command()]

    def environment(self) -> dict[str, str]:
        return {"PYTHONHASHSEED": "1"}

    def switch(self, state: str) -> None:
        assert self.child is not None
        subprocess.run(["callgrind_control", "-i", state, str(self.child.pid)], check=True, stdout=subprocess.DEVNULL)

    def end(self) -> list[int]:
        """Ir, Dr, Dw, I1mr, D1mr, D1mw, ILmr, DLmr, DLmw of all that was counted."""
        assert self.child is not None
        self.child.process.send_signal(signal.SIGTERM)
        self.child.process.wait(60)
        totals = re.search(r"^totals: (.+)$", self.found.read_text(), re.MULTILINE)
        if totals is None:
            raise SystemExit(f"callgrind counted nothing: {self.child.last_words()}")
        return [int(number) for number in totals[1].split()]


async def _ask(port: int, requests: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"void: {head[:200]!r}")
        length = re.search(rb"content-length: (\d+)", head.lower())
        await (reader.readexactly(int(length[1])) if length else reader.readuntil(b"0\r\n\r\n"))
    writer.close()


async def _load(port: int, requests: list[bytes]) -> None:
    await asyncio.gather(*(_ask(port, requests[number::CONNECTIONS]) for number in range(CONNECTIONS)))


def count(peer: Counted, warm: list[bytes], requests: list[bytes]) -> list[int]:
    try:
        peer.start(cores()[0])
        deadline = time.monotonic() + peer.patience
        while True:
            try:
                socket.create_connection(("127.0.0.1", peer.port)).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("the gateway did not start under valgrind") from None
                time.sleep(0.2)
        asyncio.run(_load(peer.port, warm))
        peer.switch("on")
        asyncio.run(_load(peer.port, requests))
        peer.switch("off")
        return peer.end()
    finally:
        peer.stop()


def per_unit(totals: list[int], number: int) -> str:
    ir, _, _, i1, d1r, d1w, il, dlr, dlw = totals
    cycles = ir + 10 * (i1 + d1r + d1w) + 100 * (il + dlr + dlw)
    each = {"instructions": ir, "misses of code": i1, "misses of data": d1r + d1w, "cycles": cycles}
    return ", ".join(f"{name} {value / number:,.0f}" for name, value in each.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instructions", description=__doc__.split("\n")[0])
    parser.add_argument("--tree", type=Path, default=ROOT, metavar="FOLDER", help="the checkout to run")
    parser.add_argument("--requests", type=int, default=1600, metavar="N")
    parser.add_argument("--size", type=int, default=0, metavar="BYTES", help="about so many in the body of a request")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--tokens", action="store_true", help="count per event of a stream, including its share of the request"
    )
    what.add_argument("--calls", action="store_true", help="the same for a stream of a tool call's arguments")
    what.add_argument("--streams", action="store_true", help="count per stream of two events")
    parser.add_argument("--dialect", choices=list(TRAFFIC), default=CHAT.name, help="of client and provider (chat)")
    parser.add_argument("--provider-dialect", choices=list(TRAFFIC), help="if the provider speaks another one")
    parser.add_argument("--config", type=json.loads, default={}, metavar="JSON", help="merged into the configuration")
    parser.add_argument("--again", action="store_true", help="one request again and again; else each is a new one")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="callgrind's own output, for callgrind_annotate")
    chosen = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is missing (Debian: apt-get install valgrind)")
    signal.alarm(LIMIT)
    traffic, spoken = TRAFFIC[chosen.dialect], TRAFFIC[chosen.provider_dialect or chosen.dialect]
    warm, requests, number, unit = load_of(chosen, traffic)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name, upstream(Path(name)) as provider:
        tree, folder = chosen.tree.resolve(), Path(name)
        peer = Counted(provider, folder, changes=chosen.config, tree=tree, traffic=traffic, spoken=spoken)
        totals = count(peer, warm, requests)
        if chosen.keep:
            shutil.copy(peer.found, chosen.keep)
    route = traffic.name if traffic is spoken else f"{traffic.name} over {spoken.name}"
    print(f"{route}, per {unit}: {per_unit(totals, number)}")


def load_of(chosen: argparse.Namespace, traffic: Traffic) -> tuple[list[bytes], list[bytes], int, str]:
    """The requests before those that count, those, and the number and the name of what they are counted by."""
    path, model = traffic.path, Sluice.model
    warm = [traffic.plain_request(path, model, each) for each in range(WARM_UP)]
    if chosen.tokens or chosen.calls:
        requests = [traffic.stream_request(path, model, EVENTS, INTERVAL, calls=chosen.calls)] * CONNECTIONS
        unit = "piece of a call's arguments" if chosen.calls else "token"
        return warm + requests, requests, EVENTS * len(requests), unit
    if chosen.streams:
        requests = [traffic.stream_request(path, model, 2, SHORT_INTERVAL)] * chosen.requests
        return warm + requests[:WARM_UP], requests, len(requests), "stream"
    warm += [traffic.plain_request(path, model, each, chosen.size) for each in range(WARM_UP // 10)]
    numbers = [0] * chosen.requests if chosen.again else range(WARM_UP, WARM_UP + chosen.requests)
    requests = [traffic.plain_request(path, model, each, chosen.size) for each in numbers]
    unit = f"request of {chosen.size:,} bytes" if chosen.size else "request"
    return warm, requests, len(requests), unit


if __name__ == "__main__":
    sys.exit(main())
