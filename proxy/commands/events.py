"""``sluice events``: what receivers did not take, and events again that the ledger knows."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from proxy.commands.loading import load, source_of
from proxy.errors import ConfigError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

REPLAYED: Final = ("ai_usage", "transaction_created")
"""Types whose events can be made again."""


def add_parsers(commands: Commands, options: argparse.ArgumentParser, moment: Callable[[str], float]) -> None:
    """Add ``events dead`` and ``events replay``; ``main`` runs them."""
    events = commands.add_parser("events", help="look at events that were not taken, and send events again")
    steps = events.add_subparsers(dest="events_command", required=True, metavar="dead | replay")
    dead = steps.add_parser(
        "dead",
        parents=[options],
        help="print what receivers did not take",
        description="Print the events of the outbox that a receiver did not take in time, and the dead letters of the "
        "broker: messages that a consumer has refused. They stay. With --send-again they are sent again.",
    )
    dead.add_argument("--json", action="store_true", help="a JSON object on each line, with the body")
    dead.add_argument("--most", type=_count, default=100, metavar="N", help="of each kind (default: %(default)s)")
    dead.add_argument(
        "--send-again",
        nargs="*",
        metavar="ID",
        help="let these events wait again, and move these dead letters back; all of them without an ID",
    )
    replay = steps.add_parser(
        "replay",
        parents=[options],
        help="send events again that the ledger knows",
        description="Put the events of a period into the outbox again, under the same ids: ai_usage of the rows of the "
        "ledger, transaction_created of the transfers. Consumers that know an id leave it out. The recorder of a "
        "gateway with this database, or `sluice ledger consume`, sends them.",
    )
    replay.add_argument("--from", dest="begin", type=moment, required=True, metavar="ISO", help="then or later")
    replay.add_argument("--to", dest="end", type=moment, metavar="ISO", help="before (default: all)")
    replay.add_argument("--type", choices=REPLAYED, help="(default: all of these)")
    replay.add_argument("--receiver", metavar="NAME", help="broker, or webhook:HOST:DIGEST (default: all)")


def main(arguments: argparse.Namespace) -> int:
    """Run a parsed command. Returns its exit status: 1 if the database or the broker cannot be used."""
    from proxy.commands.dead import dead
    from proxy.commands.replay import replay

    loaded = load(source_of(arguments))
    if loaded is None:
        return 1
    step = dead if arguments.events_command == "dead" else replay
    try:
        return asyncio.run(step(arguments, loaded.config))
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 999999999, got {text!r}")
    return int(text)
