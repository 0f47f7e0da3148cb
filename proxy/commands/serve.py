"""``sluice serve``: run the gateway."""

from __future__ import annotations

import argparse
import signal
import sys

from proxy.commands.loading import load, source_of


def main(arguments: argparse.Namespace) -> int:
    if not sys.stderr.isatty():  # otherwise it says that the terminal was closed, and ends the process
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the loop handles it: the files have yet to be read
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
