"""``python -m tests.bench.capacity --streams N [N ...]``: cores, memory and money for N streams at once.

The costs of a token, a request and a stream come from RESULTS.md; the formula is explained in deploy/CAPACITY.md.
``--write`` calculates the tables of that page again.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from math import ceil, inf
from pathlib import Path

from msgspec import Struct

from proxy.commands.live.machine import SPARE_FILES
from proxy.config.schema import ServerSettings
from tests.bench.figures import RESULTS, Figures, figures
from tests.bench.table import aligned

PAGE = Path(__file__).resolve().parents[2] / "deploy" / "CAPACITY.md"
HOURS = 730  # of a month
MONTH = HOURS * 3600

# A table of the page, between the command that prints it and an end.
_BLOCK = re.compile(r"(?P<head><!-- python -m tests\.bench\.capacity (?P<options>[^\n]*) -->\n\n)(?P<table>.*?)(?P<end>\n\n<!-- end -->)", re.DOTALL)  # fmt: skip


class Load(Struct, frozen=True):
    """``streams`` at once: each waits for its first token, and then gets tokens at a constant rate."""

    streams: int
    tokens_per_second: float = 50.0  # of a stream, from the first token on
    tokens_per_answer: float = 500.0
    first_token_secs: float = 0.5

    @property
    def requests(self) -> float:
        """New requests per second."""
        return self.streams / (self.first_token_secs + self.tokens_per_answer / self.tokens_per_second)

    @property
    def tokens(self) -> float:
        """Tokens per second, of all streams."""
        return self.requests * self.tokens_per_answer


class Plan(Struct, frozen=True):
    """How a fleet is to be dimensioned, and what it costs."""

    tls: bool = True  # to the providers
    utilization: float = 0.6  # of a core
    spare: float = 0.1  # processes that may be missing, at least one
    headroom: float = 1.5  # times the memory that was measured
    machine_cores: int = 16
    core_hour: float = 0.0
    gb_hour: float = 0.0
    traffic_gb: float = 0.0


class Fleet(Struct, frozen=True):
    """What ``Load`` needs. A process uses one core."""

    load: Load
    plan: Plan
    busy_cores: float
    working: int  # processes that can serve it alone
    processes: int
    process_streams: int  # streams of a process while the spare ones are missing
    process_mb: float
    bytes_per_second: float  # to clients

    @property
    def machines(self) -> int:
        return ceil(self.processes / self.plan.machine_cores)

    @property
    def memory_gb(self) -> float:
        return self.processes * self.process_mb / 1000

    @property
    def open_files(self) -> int:
        """Of a process: the connections of a client and to a provider for each stream."""
        return 2 * self.process_streams + SPARE_FILES

    @property
    def traffic_tb(self) -> float:
        """To clients, in a month."""
        return self.bytes_per_second * MONTH / 1e12

    @property
    def cores_price(self) -> float:
        return self.processes * self.plan.core_hour * HOURS

    @property
    def memory_price(self) -> float:
        return self.memory_gb * self.plan.gb_hour * HOURS

    @property
    def traffic_price(self) -> float:
        return self.traffic_tb * 1000 * self.plan.traffic_gb

    @property
    def price(self) -> float:
        """Of a month."""
        return self.cores_price + self.memory_price + self.traffic_price


def fleet(load: Load, plan: Plan, costs: Figures) -> Fleet:
    token, request = (costs.token_tls_us, costs.request_tls_us) if plan.tls else (costs.token_us, costs.request_us)
    busy = (load.tokens * token + load.requests * request) / 1e6
    most = ServerSettings().max_in_flight
    working = max(ceil(busy / plan.utilization), ceil(load.streams / most), 1)
    streams = ceil(load.streams / working)
    return Fleet(
        load=load,
        plan=plan,
        busy_cores=busy,
        working=working,
        processes=working + max(1, ceil(working * plan.spare)),
        process_streams=streams,
        process_mb=plan.headroom * (costs.idle_mb + streams * costs.stream_kb / 1000),
        bytes_per_second=load.tokens * costs.event_bytes,
    )


#         label                                          value                                          digits  shown with a price
ROWS: tuple[tuple[str, Callable[[Fleet], float], int, bool], ...] = (
    ("tokens/s",                                         lambda each: each.load.tokens,                      0, False),
    ("new requests/s",                                   lambda each: each.load.requests,                    0, False),
    ("busy cores",                                       lambda each: each.busy_cores,                       1, False),
    ("processes, a core each (with spare ones)",         lambda each: each.processes,                        0, False),
    ("machines",                                         lambda each: each.machines,                         0, False),
    ("memory of a process, MB",                          lambda each: each.process_mb,                       0, False),
    ("memory, GB",                                       lambda each: each.memory_gb,                        1, False),
    ("streams of a process",                             lambda each: each.process_streams,                  0, False),
    ("open files of a process",                          lambda each: each.open_files,                       0, False),
    ("to clients, Gbit/s",                               lambda each: each.bytes_per_second * 8 / 1e9,       2, False),
    ("to clients, TB a month",                           lambda each: each.traffic_tb,                       0, False),
    ("cores, $ a month",                                 lambda each: each.cores_price,                      0, True),
    ("memory, $ a month",                                lambda each: each.memory_price,                     0, True),
    ("traffic to clients, $ a month",                    lambda each: each.traffic_price,                    0, True),
    ("together, $ a month",                              lambda each: each.price,                            0, True),
)  # fmt: skip


def table(fleets: Sequence[Fleet]) -> str:
    """Markdown, with a column for each. Prices that are zero in every column are left out."""
    lines = [["streams", *(f"{each.load.streams:,}" for each in fleets)]]
    for label, value, digits, with_price in ROWS:
        values = [value(each) for each in fleets]
        if any(values) or not with_price:
            lines.append([label, *(f"{number:,.{digits}f}" for number in values)])
    return aligned(lines)


def costs_table(costs: Figures) -> str:
    lines = [
        ["", "plain", "TLS to the provider"],
        ["CPU per token, us", f"{costs.token_us:.1f}", f"{costs.token_tls_us:.1f}"],
        ["CPU per request, us", f"{costs.request_us:.1f}", f"{costs.request_tls_us:.1f}"],
        ["memory per stream, KB", f"{costs.stream_kb:.1f}", "-"],
        ["memory of an idle process, MB", f"{costs.idle_mb:.1f}", "-"],
        ["bytes of a token's event", f"{costs.event_bytes}", f"{costs.event_bytes}"],
    ]
    return f"Sluice {costs.version}, {costs.origin}:\n\n{aligned(lines)}"


def answer(options: Sequence[str], costs: Figures) -> str:
    """What the command prints."""
    given = vars(_parser().parse_args(options))
    if given["costs"]:
        return costs_table(costs)
    plan = Plan(**{name: given[name] for name in Plan.__struct_fields__})
    shape = {name: given[name] for name in Load.__struct_fields__ if name != "streams"}
    return table([fleet(Load(streams, **shape), plan, costs) for streams in given["streams"]])


def rewritten(page: str, costs: Figures) -> str:
    """The page with every table calculated again."""

    def again(block: re.Match[str]) -> str:
        return block["head"] + answer(shlex.split(block["options"]), costs) + block["end"]

    return _BLOCK.sub(again, page)


def write() -> None:
    """Calculate the tables of the page from RESULTS.md."""
    PAGE.write_text(rewritten(PAGE.read_text(), figures(RESULTS.read_text())))


def _parser() -> argparse.ArgumentParser:
    load, plan = Load(streams=1), Plan()
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.capacity",
        description="Cores, memory and money for a number of streams at once. deploy/CAPACITY.md explains the formula.",
    )

    def option(name: str, kind: Callable[[str], float], default: float, text: str) -> None:
        parser.add_argument(name, type=kind, default=default, metavar="X", help=f"{text} ({default:g})")

    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--streams", type=_count, nargs="+", metavar="N", help="streams at once; a column for each")
    what.add_argument("--costs", action="store_true", help="print the costs of a token, a request and a stream")
    what.add_argument("--write", action="store_true", help="calculate the tables of deploy/CAPACITY.md again")
    parser.add_argument(
        "--plain", dest="tls", action="store_false", help="providers without TLS, as on the same machine"
    )
    option("--tokens-per-second", _positive, load.tokens_per_second, "tokens of a stream per second, from its first on")
    option("--tokens-per-answer", _positive, load.tokens_per_answer, "tokens of an answer")
    option("--first-token-secs", _amount, load.first_token_secs, "seconds until the first token")
    option("--utilization", _share, plan.utilization, "share of a core that may be busy")
    option("--spare", _amount, plan.spare, "share of processes that may be missing; at least one")
    option("--headroom", _positive, plan.headroom, "times the measured memory")
    option("--machine-cores", _count, plan.machine_cores, "cores of a machine")
    option("--core-hour", _amount, plan.core_hour, "price of a core for an hour")
    option("--gb-hour", _amount, plan.gb_hour, "price of a GB of memory for an hour")
    option("--traffic-gb", _amount, plan.traffic_gb, "price of a GB that is sent to clients")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)


def _amount(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < inf:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0 on")
    return number


def _positive(text: str) -> float:
    number = _amount(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _share(text: str) -> float:
    number = _positive(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f"{text} is above 1")
    return number


def main() -> int:
    if "--write" in sys.argv[1:]:
        _parser().parse_args()
        write()
        return 0
    print(answer(sys.argv[1:], figures(RESULTS.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
