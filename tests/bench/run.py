"""The phases: the upstream, the proxies, interleaved rounds, and those of ``--full``."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme
from msgspec import Struct, field

from tests.bench.child import Child, cores
from tests.bench.peers import FULL, OVER_TLS, QUICK, TRANSLATED, TRANSLATED_QUICK, Missing, Peer, Provider

STREAMS = 400
INTERVAL = 0.02  # s between two tokens of a stream
BODY = 50_000_000  # bytes of the large upload


class Plan(Struct, frozen=True):
    """How much of what. ``names``: the peers to take, all if empty. ``window`` and ``probes`` in s."""

    full: bool
    rounds: int
    names: tuple[str, ...] = ()
    window: float = 1.5
    probes: float = 0.7

    @property
    def many(self) -> int:
        return 2000 if self.full else 1000


class Column(Struct):
    """Results of one proxy: per metric the values of all rounds, or why they are void."""

    title: str
    peer: Peer | None  # None: the clients talk to the upstream directly
    version: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)
    void: dict[str, str] = field(default_factory=dict)
    foreign: float = 0.0  # percentage of the proxies' core used by other processes, in the worst window
    retried: int = 0  # windows repeated because tokens fell behind their rate

    def median(self, metric: str) -> float | None:
        if metric in self.void or metric not in self.values:
            return None
        return statistics.median(self.values[metric])

    def add(self, metric: str, value: float) -> None:
        self.values.setdefault(metric, []).append(value)


class Result(Struct):
    plan: Plan
    plain: list[Column] = field(default_factory=list)
    tls: list[Column] = field(default_factory=list)
    translated: list[Column] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[Column]:
        return self.plain + self.tls + self.translated

    def column(self, title: str) -> Column | None:
        return next((each for each in self.columns if each.title == title), None)


# What a phase measures is kept under a name of its own where two phases measure the same.
ROUND: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
    ("requests", {"connections": 16, "window": 0.8}, {"request_us": "request16_us", "rps": "rps16"}),
    ("requests", {"connections": 64, "window": 0.8}, {"request_us": "request64_us", "rps": "rps64"}),
)
# Beside a steady load of text.
TRANSLATED_ROUND: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
    ROUND[0],
    ("requests", {"connections": 16, "window": 0.8, "size": 4_000}, {"request_us": "request4k_us"}),
    ("requests", {"connections": 4, "window": 0.8, "size": 400_000}, {"request_us": "request400k_us"}),
)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def bench(plan: Plan) -> Result:
    """Run all phases. Every process is ended before it returns or raises."""
    result = Result(plan)
    with (
        tempfile.TemporaryDirectory(prefix="sluice-bench-") as name,
        awake(Path(name)),
        upstream(Path(name)) as provider,
    ):
        folder = Path(name)
        direct = Column("direct", None)
        try:
            result.plain = begin(FULL if plan.full else QUICK, plan, provider, folder, False, result.missing)
            if plan.full:
                result.tls = begin(OVER_TLS, plan, provider, folder, True, result.missing)
            kinds = TRANSLATED if plan.full else TRANSLATED_QUICK
            result.translated = begin(kinds, plan, provider, folder, False, result.missing)
            result.plain.append(direct)
            for number in range(plan.rounds):
                for column in result.columns:
                    if column is direct and number and not plan.full:
                        continue  # a reference: one round is enough in the quick form
                    say(f"round {number + 1} of {plan.rounds}: {column.title}")
                    play_round(column, plan, provider)
            if plan.full:
                for column in result.plain:
                    if column is direct or (column.peer and type(column.peer) in QUICK):
                        say(f"endurance and large body: {column.title}")
                        play_long(column, provider)
        finally:
            for column in result.columns:
                if column.peer is not None:
                    column.peer.stop()
    return result


@contextmanager
def awake(folder: Path) -> Iterator[None]:
    """Keep the proxies' core awake."""
    child = Child([sys.executable, "-m", "tests.bench.awake"], cores()[0], folder / "awake.log")
    try:
        yield
    finally:
        child.stop()


@contextmanager
def upstream(folder: Path) -> Iterator[Provider]:
    ca = trustme.CA()
    cert = ca.issue_cert("127.0.0.1", "localhost")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    cert.private_key_pem.write_to_path(folder / "key.pem")
    with (folder / "cert.pem").open("wb") as chain:
        for pem in cert.cert_chain_pems:
            chain.write(pem.bytes())
    command = [sys.executable, "-m", "tests.bench.upstream", str(folder / "cert.pem"), str(folder / "key.pem")]
    child = Child(command, cores()[1], folder / "upstream.log", pipes=True)
    try:
        ports = json.loads(child.output.readline() or "{}")
        if not ports:
            raise RuntimeError(f"the mock upstream did not start: {child.last_words()}")
        yield Provider(ports["plain"], ports["tls"], folder / "ca.pem")
    finally:
        child.stop()


def begin(
    kinds: Sequence[type[Peer]], plan: Plan, provider: Provider, folder: Path, tls: bool, missing: list[str]
) -> list[Column]:
    """Starts the peers one after the other, measuring what only a fresh process shows."""
    columns = []
    for kind in kinds:
        if plan.names and kind.name not in plan.names:
            continue
        peer = kind(provider, folder, tls)
        column = Column(peer.title, peer)
        try:
            column.version = peer.version()
            say(f"starting {column.title} {column.version}")
            start(column)
        except Missing as why:
            missing.append(f"{column.title}: {why}")
            peer.stop()
            continue
        columns.append(column)
        if not tls:
            many = plan.many if peer.many is None else peer.many
            play(column, [("idle", {}, {}), ("crowded", {"streams": many}, {})])
            idle, crowded = column.median("idle_mb"), column.median("crowded_mb")
            if idle is not None and crowded is not None:
                column.add("stream_kb", (crowded - idle) * 1000 / many)
    return columns


def start(column: Column) -> None:
    """Three starts, to the first answer each (one where a start takes seconds); the last process stays."""
    peer = column.peer
    assert peer is not None
    for _ in range(3):
        peer.stop()
        began = time.monotonic()
        child = peer.start(cores()[0])
        while not answers(peer):
            if not child.running():
                raise Missing(f"did not start: {child.last_words()}")
            if time.monotonic() - began > peer.patience:
                raise Missing(f"did not answer within {peer.patience:g} s: {child.last_words()}")
            time.sleep(0.002)
        column.add("start_s", time.monotonic() - began)
        if column.values["start_s"][-1] > 5:
            break


def answers(peer: Peer) -> bool:
    assert peer.child is not None
    port = peer.listening(peer.child)
    if not port:
        return False
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(peer.traffic.plain_request(peer.path, peer.model, 1))
            answer = b""
            while data := connection.recv(65_536):
                answer += data
                if b"@00000001;" in answer:
                    return answer.startswith(b"HTTP/1.1 200")
                if not answer.startswith(b"HTTP/1.1 200"[: len(answer)]):
                    return False
    except OSError:
        pass
    return False


def play_round(column: Column, plan: Plan, provider: Provider) -> None:
    streams = column.peer.streams if column.peer else STREAMS
    steady = {"streams": streams, "interval": INTERVAL, "window": plan.window, "probes": plan.probes}
    if column.peer is None or type(column.peer) not in TRANSLATED:
        play(column, [("steady", steady, {}), *ROUND], provider)
        return
    calls = ("steady", steady | {"calls": True}, {"token_us": "call_us"})
    play(column, [("steady", steady, {}), calls, *TRANSLATED_ROUND], provider)


def play_long(column: Column, provider: Provider) -> None:
    longest = {
        "gap_p99": "long_gap_p99",
        "longest": "long_longest",
        "token_us": "long_token_us",
        "tokens": "long_tokens",
    }
    endurance = {"streams": 2000, "rate": 20, "seconds": 38.0}  # of which all 2,000 run for 30
    large = {"streams": 100, "interval": INTERVAL, "size": BODY, "times": 3}
    names = {"gap_max": "body_gap", "calm_max": "body_calm", "upload_s": "body_upload_s"}
    play(column, [("endurance", endurance, longest), ("large_body", large, names)], provider)


def play(
    column: Column,
    phases: Sequence[tuple[str, dict[str, Any], dict[str, str]]],
    provider: Provider | None = None,
) -> None:
    """A load process plays the phases; the values go to the column. An error voids what the phase would have measured."""
    peer = column.peer
    if peer is None:
        assert provider is not None
        target: dict[str, Any] = {"port": provider.plain, "rewrites": "", "pid": 0}
        spoken: Peer | type[Peer] = Peer
    else:
        assert peer.child is not None
        target = {"port": peer.port, "rewrites": peer.rewrites, "pid": peer.child.pid}
        spoken = peer
    target |= {"dialect": spoken.traffic.name, "path": spoken.path, "model": spoken.model}
    # What is void stays void: the row needs all rounds.
    phases = [phase for phase in phases if not column.void.keys() & measured(phase[0], phase[2])]
    order = {"target": {**target, "core": cores()[0]}, "phases": [(name, options) for name, options, _ in phases]}
    outcomes = run_load(order)
    for number, (name, options, renamed) in enumerate(phases):
        outcome = outcomes.get(str(number), {"error": "the load process did not come so far"})
        if "error" in outcome:
            for metric in measured(name, renamed):
                column.void[metric] = f"{name} {options or ''}: {outcome['error']}"
            continue
        for metric, value in outcome.items():
            if metric == "foreign":
                column.foreign = max(column.foreign, value)
            elif metric == "retried":
                column.retried += 1
            elif metric in renamed or not renamed:
                column.add(renamed.get(metric, metric), value)


MEASURED = {
    "steady": ("token_us", "ttft_p50", "ttft_p99", "gap_p99"),
    "idle": ("idle_mb", "idle_pss_mb"),
    "crowded": ("crowded_mb", "stream_kb"),
}


def measured(phase: str, renamed: dict[str, str]) -> Sequence[str]:
    return tuple(renamed.values()) or MEASURED[phase]


def run_load(order: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The outcome of each phase by its number; an ``error`` at 0 if the load process itself failed."""
    command = [sys.executable, "-m", "tests.bench.load"]
    with tempfile.TemporaryDirectory(prefix="sluice-bench-load-") as folder:
        child = Child(command, cores()[1], Path(folder) / "log", pipes=True)
        try:
            output, _ = child.process.communicate(json.dumps(order), timeout=100 * len(order["phases"]))
            outcomes: dict[str, dict[str, Any]] = json.loads(output)
        except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            return {"0": {"error": f"the load process failed ({error}): {child.last_words()}"}}
        finally:
            child.stop()
    return outcomes
