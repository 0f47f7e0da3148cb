"""The configuration of a command: the file, the environment and the command line."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.config.loader import Loaded
    from proxy.config.schema import ServerSettings
    from proxy.config.source import Source


def source_of(arguments: argparse.Namespace) -> Source:
    import os

    from proxy.config.source import Source

    return Source(arguments.config, os.environ, arguments.env_file, partial(_overridden, arguments))


def load(source: Source) -> Loaded | None:
    """The configuration, or ``None`` after its mistakes have been printed on stderr."""
    import asyncio

    from proxy.errors import ConfigError

    try:
        return asyncio.run(source.load())
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return None


def _overridden(arguments: argparse.Namespace, loaded: Loaded) -> Loaded:
    """``loaded`` with the command line's listener."""
    from msgspec.structs import replace

    return replace(loaded, config=replace(loaded.config, server=listening(arguments, loaded.config.server)))


def listening(arguments: argparse.Namespace, server: ServerSettings) -> ServerSettings:
    """``server`` with the address of the command line; a host or port replaces a unix socket."""
    from msgspec.structs import replace

    chosen = {name: getattr(arguments, name) for name in ("host", "port", "unix_socket")}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if chosen:
        chosen.setdefault("unix_socket", "")
    return replace(server, **chosen)
