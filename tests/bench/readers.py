"""``python -m tests.bench.readers [--rounds N]``: added latency of clients while dashboards are open.

500 streams run while new ones start; in every other round five clients read ``/admin/events``. The output is the
medians of the added time to first token, and their difference.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench.child import apart
from tests.bench.peers import Missing
from tests.bench.peers.sluice import Sluice
from tests.bench.run import INTERVAL, Column, awake, play, say, start, upstream

READERS, STREAMS = 5, 500
TOKEN = "the-admin-token-of-the-benchmark"
LIMIT_MS, LIMIT_SECS = 1.0, 600
PHASE = ("steady", {"streams": STREAMS, "interval": INTERVAL, "window": 1.0, "probes": 3.0}, {})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.readers", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=6)
    rounds = parser.parse_args().rounds
    apart()
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("it took too long"))
    signal.alarm(LIMIT_SECS)
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as name,
        awake(Path(name)),
        upstream(Path(name)) as provider,
    ):
        peer = Sluice(provider, Path(name), changes={"admin": {"token": TOKEN}})
        alone, watched = Column("alone", peer), Column("watched", peer)
        try:
            start(alone)
            for number in range(rounds):
                say(f"round {number + 1} of {rounds}")
                play(alone, [PHASE])
                with _reading(peer.port):
                    play(watched, [PHASE])
        except Missing as why:
            raise SystemExit(str(why)) from None
        finally:
            peer.stop()
    for column in (alone, watched):
        for why in dict.fromkeys(column.void.values()):
            raise SystemExit(f"void: {column.title}: {why}")
    return _tell(alone, watched)


@contextmanager
def _reading(port: int) -> Iterator[None]:
    """Five readers of the event stream."""
    command = ["curl", "-sN", "-H", f"Authorization: Bearer {TOKEN}", f"http://127.0.0.1:{port}/admin/events"]
    readers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(READERS)]
    try:
        yield
    finally:
        assert all(reader.poll() is None for reader in readers), "a reader was sent away"
        for reader in readers:
            reader.kill()
            reader.wait()


def _tell(alone: Column, watched: Column) -> int:
    for metric in ("ttft_p50", "ttft_p99"):
        before, after = median(alone.values[metric]), median(watched.values[metric])
        print(f"{metric}: {before:.2f} ms alone, {after:.2f} ms with {READERS} readers ({after - before:+.2f} ms)")
    print(f"target: less than {LIMIT_MS:.0f} ms, {'reached' if after - before < LIMIT_MS else 'not reached'}")
    return 0 if after - before < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
