"""``sluice key``: make API keys, and warn if the configuration does not use them."""

from __future__ import annotations

import argparse
import sys

from proxy.auth.command import main as run


def main(arguments: argparse.Namespace) -> int:
    """Run ``key new`` or ``key hash``."""
    status = run(arguments)
    if arguments.key_command == "new":
        _warn_unused(arguments)
    return status


def _warn_unused(arguments: argparse.Namespace) -> None:
    """Print a notice on stderr if the configuration asks for no key. Its mistakes are left to ``check``."""
    import os

    from proxy.auth.apikey import unused
    from proxy.config.environment import ENV_FILE
    from proxy.config.loader import load
    from proxy.errors import ConfigError

    env_file = arguments.env_file or (ENV_FILE if ENV_FILE.exists() else None)
    try:
        mode = load(arguments.config, os.environ, env_file).config.auth.mode
    except ConfigError:
        return
    if notice := unused(mode):
        print(f"notice: {notice}", file=sys.stderr)
