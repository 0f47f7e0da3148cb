"""The command line: ``sluice serve | check | health | demo | key | token | db | ledger | record | paths``.

Imports wait until the command is known, so that its first output comes within a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from proxy.commands.parser import health_parser, parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status: 0, or 1 for a configuration with mistakes or a closed output."""
    try:
        status = _run(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()  # here, where a closed pipe can be handled
        return status
    except BrokenPipeError:
        # The reader of the output has ended, as `head` does. Python's flush at exit must not fail as well:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(given: list[str]) -> int:
    if given[:1] == ["health"]:
        from proxy.commands.health import main as health

        return health(health_parser().parse_args(given[1:]))
    arguments = parser().parse_args(given)
    if arguments.command == "demo":
        from proxy.demo.server import main as demo

        return demo(arguments.host, arguments.port)
    if arguments.command == "key":
        from proxy.commands.key import main as key

        return key(arguments)
    if arguments.command == "token":
        from proxy.commands.token import main as token

        return token(arguments)
    if arguments.command == "db":
        from proxy.commands.db import main as db

        return db(arguments)
    if arguments.command == "ledger":
        from proxy.commands.ledger import main as ledger

        return ledger(arguments)
    if arguments.command == "events":
        from proxy.commands.events import main as events

        return events(arguments)
    if arguments.command == "record":
        from proxy.commands.record import main as record

        return record(arguments)
    if arguments.command == "paths":
        from proxy.commands.paths import main as paths

        return paths(arguments)
    if arguments.command == "check":
        from proxy.commands.check import main as check

        return check(arguments)
    from proxy.commands.serve import main as serve

    return serve(arguments)


if __name__ == "__main__":
    sys.exit(main())
