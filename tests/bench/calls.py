"""The path of a request: the Python functions that run for it, in order and by file.

    python -m tests.bench.calls [--tree FOLDER] [--dialect NAME] [--provider-dialect NAME]
        [--size BYTES] [--stream] [--config JSON] [--again] [--tree-of-calls]

The gateway runs as in the benchmark. After a warm-up over one connection, a profile function records every Python call
until the client has the complete response. Timer callbacks are excluded: they serve several requests at once. Resuming
a coroutine counts as a call, as it costs as much.

The request is a new one, unless ``--again``. So ``--config '{"cache": {"enabled": true}}'`` shows a miss of the cache, and
with ``--again`` a hit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.call_recorder import OUT
from tests.bench.child import ROOT, cores
from tests.bench.dialects import CHAT
from tests.bench.gets import TRAFFIC
from tests.bench.peers.sluice import Sluice
from tests.bench.run import upstream
from tests.bench.traffic import Traffic

LIMIT = 120  # s
WARM_UP = 300  # requests
EVENTS = 40  # of a stream
INTERVAL = 0.02  # s between them, so that each comes in a read of its own
# What a callback of the loop is, by its first function.
NAMES = {
    "server/connection.py:Connection.data_received": "The client's bytes are read",
    "server/request_loop.py:run_requests": "The connection's task runs",
    "client/connection.py:UpstreamConnection.buffer_updated": "The provider's bytes are read",
    "net/outbox.py:Outbox.flush": "Small writes go to the kernel",
}
# Files whose callbacks serve many requests at once: clocks, reports, samples of the loop's lag.
APART = ("net/clocks", "observe/", "runtime/", "python:")
RECORDER = Path(__file__).with_name("call_recorder.py")


class Step(NamedTuple):
    """One call: its depth below the event loop, its file and its qualified name."""

    depth: int
    file: str
    name: str


class Traced(Sluice):
    """The gateway in a process that can record its calls."""

    name = "traced"

    @property
    def found(self) -> Path:
        return self.folder / "calls.json"

    def command(self) -> list[str]:
        python, *arguments = super().command()
        return [python, str(RECORDER), *arguments[2:]]

    def environment(self) -> dict[str, str]:
        return {OUT: str(self.found), "PYTHONPATH": str(self.tree)}

    def switch(self, signum: signal.Signals) -> None:
        assert self.child is not None
        os.kill(self.child.pid, signum)


def _exchange(connection: socket.socket, request: bytes) -> None:
    """Send one request and read the response."""
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"void: {head[:200]!r}")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while len(body) < int(length[1]) if length else not body.endswith(b"0\r\n\r\n"):
        body += connection.recv(65536)


def record(peer: Traced, before: bytes, request: bytes) -> list[Step]:
    """Return the calls for ``request`` without those of timers. ``before`` is sent last before it."""
    traffic = peer.traffic
    try:
        peer.start(cores()[0])
        with _connected(peer.port) as connection:
            for number in range(WARM_UP):
                _exchange(connection, traffic.plain_request(peer.path, peer.model, number))
            _exchange(connection, before)
            peer.switch(signal.SIGUSR1)
            time.sleep(0.3)  # what the requests before left behind is reported meanwhile
            _exchange(connection, request)
            peer.switch(signal.SIGUSR2)
            deadline = time.monotonic() + 10
            while not peer.found.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
        steps = json.loads(peer.found.read_text())
    finally:
        peer.stop()
    return list(_of_the_request([Step(depth, _short(file), name) for depth, file, name in steps]))


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _short(file: str) -> str:
    for mark in ("/proxy/", "/site-packages/", "/lib/python"):
        _, found, rest = file.rpartition(mark)
        if found:
            return rest if mark == "/proxy/" else rest if mark == "/site-packages/" else f"python:{rest}"
    return file


def _of_the_request(steps: list[Step]) -> Iterator[Step]:
    """Without the callbacks of the loop that belong to timers and to this script's own signals."""
    ground = min(step.depth for step in steps)
    callbacks: list[list[Step]] = []
    for step in steps:
        if step.depth == ground or not callbacks:
            callbacks.append([])
        callbacks[-1].append(step._replace(depth=step.depth - ground))
    begun = False
    for callback in callbacks:
        root = callback[0]
        begun = begun or root.name.endswith("data_received")  # the client's request
        if begun and not root.file.startswith(APART) and not root.file.endswith(RECORDER.name):
            yield from callback


def path(steps: list[Step]) -> str:
    """The path as a list: the callbacks of the loop, their files, and the functions that were entered there.

    Callbacks with the same functions, as for the events of a stream, are shown once, with their number.
    """
    callbacks: list[list[str]] = []
    for step in steps:
        if step.depth == 0:
            callbacks.append([])
        callbacks[-1].append(f"{step.file}:{step.name.replace('.<locals>', '')}")
    counts = Counter(tuple(dict.fromkeys(calls)) for calls in callbacks)
    return "\n".join(_shown(place, calls, count) for place, (calls, count) in enumerate(counts.items(), 1))


def _shown(place: int, calls: tuple[str, ...], count: int) -> str:
    files: dict[str, list[str]] = {}
    for file, _, name in (call.partition(":") for call in calls):
        if "<" not in name:  # an expression within its function
            files.setdefault(file, []).append(name.rpartition(".")[2])
    lines = [f"{place}. {NAMES.get(calls[0], calls[0])}{f', {count} times' if count > 1 else ''}:"]
    return "\n".join([*lines, *(f"   - `{file}`: {', '.join(names)}" for file, names in files.items())])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.calls", description=__doc__.split("\n")[0])
    parser.add_argument("--tree", type=Path, default=ROOT, metavar="FOLDER", help="the checkout to run")
    parser.add_argument("--stream", action="store_true", help=f"a stream of {EVENTS} events instead of a JSON response")
    parser.add_argument("--tree-of-calls", action="store_true", help="print every call, indented by its depth")
    parser.add_argument("--dialect", choices=list(TRAFFIC), default=CHAT.name, help="of client and provider (chat)")
    parser.add_argument("--provider-dialect", choices=list(TRAFFIC), help="if the provider speaks another one")
    parser.add_argument("--size", type=int, default=0, metavar="BYTES", help="about so many in the body of a request")
    parser.add_argument("--config", type=json.loads, default={}, metavar="JSON", help="merged into the configuration")
    parser.add_argument("--again", action="store_true", help="record a request that was sent before")
    chosen = parser.parse_args()
    traffic, spoken = TRAFFIC[chosen.dialect], TRAFFIC[chosen.provider_dialect or chosen.dialect]
    signal.alarm(LIMIT)
    before, request = (_request(chosen, traffic, WARM_UP + number) for number in (0, 0 if chosen.again else 1))
    with tempfile.TemporaryDirectory(prefix="sluice-calls-") as name, upstream(Path(name)) as provider:
        tree, folder = chosen.tree.resolve(), Path(name)
        peer = Traced(provider, folder, changes=chosen.config, tree=tree, traffic=traffic, spoken=spoken)
        steps = record(peer, before, request)
    if chosen.tree_of_calls:
        print("\n".join(f"{'  ' * step.depth}{step.name}  ({step.file})" for step in steps))
    else:
        print(path(steps))
    files = {step.file for step in steps}
    own = [step for step in steps if not step.file.startswith(("aiohttp/", "python:"))]
    print(
        f"\n{len(steps)} calls in {len(files)} files; of the gateway {len(own)} in {len({step.file for step in own})}"
    )


def _request(chosen: argparse.Namespace, traffic: Traffic, number: int) -> bytes:
    if chosen.stream:
        return traffic.stream_request(traffic.path, Sluice.model, EVENTS + number - WARM_UP, INTERVAL)
    return traffic.plain_request(traffic.path, Sluice.model, number, chosen.size)


if __name__ == "__main__":
    sys.exit(main())
