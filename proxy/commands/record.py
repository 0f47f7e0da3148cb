"""``sluice record``: write what gateways have left in the spool into the database, or send it to the broker.

A running gateway has a child for this (``proxy.ledger.recorder``), which finds the lock taken here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proxy.commands.loading import load, source_of
from proxy.database.address import require
from proxy.errors import ConfigError
from proxy.ledger.child import settings_of
from proxy.ledger.opening import require_broker
from proxy.ledger.recorder.folders import has_segments
from proxy.ledger.recorder.lines import LineWriter
from proxy.ledger.recorder.process import TAKEN, run_recorder

STDERR = 2


def main(arguments: argparse.Namespace) -> int:
    """Returns 0 if everything is written, 1 if something is left, 75 if another recorder works in the folder."""
    loaded = load(source_of(arguments))
    if loaded is None:
        return 1
    settings = settings_of(loaded.config, once=arguments.once)
    if not has_segments(Path(settings.folder)):
        print(f"record: nothing is left in {settings.folder}")
        return 0
    try:
        require_broker(loaded.config)
        if loaded.config.ledger.mode == "database":
            require(settings.database)
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1
    status = run_recorder(settings, LineWriter(STDERR, readable=True))
    if status == TAKEN:
        print("record: the recorder of a running gateway writes them already; nothing is to be done", file=sys.stderr)
    return status
