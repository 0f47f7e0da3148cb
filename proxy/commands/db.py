"""``sluice db``: manage the database of API keys."""

from __future__ import annotations

import argparse
import sys

from proxy.commands.loading import load, source_of


def main(arguments: argparse.Namespace) -> int:
    loaded = load(source_of(arguments))
    if loaded is None:
        return 1
    import asyncio

    from proxy.database.opening import upgrade
    from proxy.errors import ConfigError

    try:
        revisions = asyncio.run(upgrade(loaded.config.database, loaded.config.data_dir))
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1
    was = revisions.before or "empty"
    same = revisions.before == revisions.after
    print(f"database: up to date at {revisions.after}" if same else f"database: {was} -> {revisions.after}")
    return 0
