"""``sluice db``: migrations, copies of the SQLite file, and commands of PostgreSQL with the configured database."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from proxy.commands.loading import load, source_of
from proxy.config.schema import Config
from proxy.database.address import address_of
from proxy.errors import ConfigError


def main(arguments: argparse.Namespace) -> int:
    """Run a parsed command. Returns the exit status; ``run`` becomes its command instead."""
    loaded = load(source_of(arguments))
    if loaded is None:
        return 1
    try:
        return _STEPS[arguments.db_command](arguments, loaded.config)
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1


def _upgrade(_arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.opening import upgrade

    revisions = asyncio.run(upgrade(config.database, config.data_dir))
    was = revisions.before or "empty"
    same = revisions.before == revisions.after
    print(f"database: up to date at {revisions.after}" if same else f"database: {was} -> {revisions.after}")
    return 0


def _backup(arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.copies import back_up

    source = _file(config, "sluice db run pg_dump --format custom --file FILE")
    keys = back_up(source, arguments.file)
    print(f"database: {source} copied to {arguments.file} ({keys} {'key' if keys == 1 else 'keys'})")
    return 0


def _restore(arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.copies import restore

    target = _file(config, "sluice db run pg_restore --dbname '' FILE")
    kept = restore(arguments.file, target, replace=arguments.force)
    print(f"database: {arguments.file} restored to {target}" + (f"; the previous one is {kept}" if kept else ""))
    return 0


def _run(arguments: argparse.Namespace, config: Config) -> int:
    from proxy.database.libpq import variables

    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        raise ConfigError(["sluice db run: expected a command, as in `sluice db run psql`"])
    if not config.database.url.startswith("postgres"):
        raise ConfigError(["sluice db run: database.url is not that of a PostgreSQL database"])
    try:
        os.execvpe(words[0], words, os.environ | variables(config.database.url))
    except OSError as error:
        raise ConfigError([f"sluice db run: cannot run {words[0]}: {error.strerror}"]) from None


def _file(config: Config, instead: str) -> Path:
    """The SQLite file of the configuration. Raises ConfigError for another database, with what to use instead."""
    address = address_of(config.database, config.data_dir)
    if address.kind != "sqlite":
        raise ConfigError([f"database: {address} is no SQLite file; use `{instead}`"])
    return Path(address.target)


_STEPS: dict[str, Callable[[argparse.Namespace, Config], int]] = {
    "upgrade": _upgrade,
    "backup": _backup,
    "restore": _restore,
    "run": _run,
}
