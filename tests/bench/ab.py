"""Compare two variants of this gateway: the cost of B relative to A.

    python -m tests.bench.ab --b '{"rateLimiting": {"enabled": false}}'      A is the shipped configuration
    python -m tests.bench.ab --a-tree ../before --metric request64_us        another checkout as A
    python -m tests.bench.ab --b-dialect messages                            Anthropic's API against chat
    python -m tests.bench.ab --dialect messages --b-provider-dialect chat    translated against passed

The variants alternate, and the first one changes with each round. The output is the geometric mean of the ratios B/A
with its one-sided upper 95 % bound (Student's t over the logarithms; the samples are rounds, not tokens).
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.child import ROOT, apart
from tests.bench.dialects import CHAT, DIALECTS
from tests.bench.peers import Missing
from tests.bench.peers.sluice import Sluice
from tests.bench.run import INTERVAL, Column, awake, play, say, start, upstream

LIMIT = 1800  # s
# One-sided 95 % quantiles of Student's t by degrees of freedom; 1.645 and a little beyond the table.
STUDENT = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753)
STREAMS = {"streams": 400, "interval": INTERVAL, "window": 2.0, "probes": 0.5}
PHASES = {
    "token_us": ("steady", STREAMS, {}),
    "call_us": ("steady", STREAMS | {"calls": True}, {"token_us": "call_us"}),
    "request16_us": ("requests", {"connections": 16, "window": 1.5}, {"request_us": "request16_us"}),
    "request64_us": ("requests", {"connections": 64, "window": 1.5}, {"request_us": "request64_us"}),
    "request4k_us": ("requests", {"connections": 16, "window": 1.5, "size": 4_000}, {"request_us": "request4k_us"}),
    "request400k_us": (
        *("requests", {"connections": 4, "window": 1.5, "size": 400_000}),
        {"request_us": "request400k_us"},
    ),
}


USUAL = ("token_us", "request16_us", "request64_us")


def ratio_with_bound(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """(geometric mean of b/a, its upper 95 % bound), for two rounds or more."""
    logs = [math.log(after / before) for before, after in zip(a, b, strict=True)]
    mean, freedom = statistics.fmean(logs), len(logs) - 1
    quantile = STUDENT[freedom - 1] if freedom <= len(STUDENT) else 1.645 + 1.6 / freedom
    return math.exp(mean), math.exp(mean + quantile * statistics.stdev(logs) / math.sqrt(len(logs)))


def compare(variants: Sequence[Column], metrics: Sequence[str], rounds: int) -> None:
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for column in variants if number % 2 == 0 else reversed(variants):
            play(column, [PHASES[metric] for metric in metrics])
    for column in variants:
        for why in dict.fromkeys(column.void.values()):
            raise SystemExit(f"void: {column.title}: {why}")
    a, b = variants
    for metric in metrics:
        mean, bound = ratio_with_bound(a.values[metric], b.values[metric])
        medians = f"A {a.median(metric):.1f} us, B {b.median(metric):.1f} us"
        print(f"{metric}: {medians}, B/A {mean:.3f}, at most {bound:.3f} (95 %)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ab", description=__doc__.split("\n")[0])
    for name in "ab":
        parser.add_argument(
            f"--{name}", type=json.loads, default={}, metavar="JSON", help="merged into the configuration"
        )
        parser.add_argument(f"--{name}-tree", type=Path, default=ROOT, metavar="FOLDER", help="the checkout to run")
        parser.add_argument(f"--{name}-dialect", choices=list(DIALECTS), help="of client and provider (chat)")
        parser.add_argument(
            f"--{name}-provider-dialect", choices=list(DIALECTS), help="if the provider speaks another one"
        )
    parser.add_argument(
        "--dialect", choices=list(DIALECTS), default=CHAT.name, help="of both, where nothing else is given"
    )
    parser.add_argument(
        *("--metric", "-m"),
        action="append",
        choices=list(PHASES),
        help=f"may be repeated (default: {', '.join(USUAL)})",
    )
    parser.add_argument("--rounds", type=int, default=8, metavar="N")
    chosen = parser.parse_args()
    apart()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("it took too long"))
    signal.alarm(LIMIT)
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as name,
        awake(Path(name)),
        upstream(Path(name)) as provider,
    ):
        variants = []
        try:
            for title, changes, tree, dialect, spoken in (
                ("A", chosen.a, chosen.a_tree, chosen.a_dialect, chosen.a_provider_dialect),
                ("B", chosen.b, chosen.b_tree, chosen.b_dialect, chosen.b_provider_dialect),
            ):
                folder = Path(name) / title
                folder.mkdir()
                traffic = DIALECTS[dialect or chosen.dialect]
                provided = DIALECTS[spoken] if spoken else None
                peer = Sluice(provider, folder, changes=changes, tree=tree.resolve(), traffic=traffic, spoken=provided)
                variants.append(Column(title, peer))
                start(variants[-1])
            compare(variants, chosen.metric or USUAL, max(2, chosen.rounds))
        except Missing as why:
            raise SystemExit(str(why)) from None
        finally:
            for column in variants:
                if column.peer is not None:
                    column.peer.stop()


if __name__ == "__main__":
    main()
