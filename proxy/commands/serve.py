"""``sluice serve``: run the gateway."""

from __future__ import annotations

import argparse
import sys

from proxy.commands.loading import load, source_of


def main(arguments: argparse.Namespace) -> int:
    source = source_of(arguments)
    loaded = load(source)
    if loaded is None:
        return 1
    from proxy.config.listening import address
    from proxy.errors import ConfigError
    from proxy.process import run

    try:
        run(loaded, source, lambda line: print(line, flush=True), insecure=arguments.insecure)
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1
    except OSError as error:
        server = loaded.config.server
        where = error.filename or address(server, server.port)
        section, hint = "server", "" if server.unix_socket else "; use --port or LISTEN_PORT"
        if where != address(server, server.port):
            section, hint = "admin.listen", ""
        print(f"{section}: cannot listen on {where}: {error.strerror or error}{hint}", file=sys.stderr)
        return 1
    return 0
